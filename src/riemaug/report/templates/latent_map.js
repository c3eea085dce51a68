(function () {
  "use strict";
  // A point on the map: the nearest node of the decoded grid, the volume element, and the support.
  function start(map) {
    var facts = JSON.parse(map.getAttribute("data-facts"));
    var levels = atob(facts.levels);
    var plot = map.querySelector(".plot");
    var drawing = plot.querySelector("svg");
    var here = drawing.querySelector(".here");
    var readout = map.querySelector(".readout");
    var decoded = readout.querySelector(".decoded");
    var words = readout.querySelectorAll("output");
    var steps = facts.side > 1 ? facts.side - 1 : 24;
    var at = [0, 0];

    function clamp(value) { return Math.min(1, Math.max(0, value)); }
    function between(ends, share) { return ends[0] + share * (ends[1] - ends[0]); }
    function plain(value, ends) {
      var digits = Math.min(9, Math.max(0, 2 - Math.floor(Math.log10(ends[1] - ends[0]))));
      return value.toFixed(digits).replace(/^-(?=[0.]*$)/, "").replace("-", "\u2212");
    }

    function show(across, up) {
      at = [clamp(across), clamp(up)];
      var box = facts.box;
      here.removeAttribute("hidden");
      here.setAttribute("transform",
        "translate(" + (box[0] + at[0] * box[2]) + " " + (box[1] + (1 - at[1]) * box[3]) + ")");
      var column = Math.round(at[0] * (facts.size[0] - 1));
      var row = Math.round(at[1] * (facts.size[1] - 1));
      var level = levels.charCodeAt(row * facts.size[0] + column);
      var inside = level > 127;
      words[0].textContent = plain(between(facts.x, at[0]), facts.x);
      words[1].textContent = plain(between(facts.y, at[1]), facts.y);
      words[2].textContent = "about " + between(facts.range, (level & 127) / 127).toFixed(1).replace("-", "\u2212");
      words[3].textContent = inside ? "inside: samples are drawn here" : "outside: nothing is drawn here";
      words[3].className = inside ? "inside" : "outside";
      if (decoded) { tile(); }
    }

    function tile() {
      var last = facts.side - 1;
      var column = Math.round(Math.min(1, at[0] / facts.reach) * last);
      var row = Math.round(Math.min(1, at[1] / facts.reach) * last);
      decoded.style.backgroundPosition =
        -column * facts.tile[0] * facts.zoom + "px " + -row * facts.tile[1] * facts.zoom + "px";
      decoded.setAttribute("aria-label",
        "What the decoder makes of " + words[0].textContent + ", " + words[1].textContent);
    }

    function follow(event) {
      var frame = drawing.getBoundingClientRect();
      var scale = facts.view[0] / frame.width;
      var box = facts.box;
      show(((event.clientX - frame.left) * scale - box[0]) / box[2],
        1 - ((event.clientY - frame.top) * scale - box[1]) / box[3]);
    }

    var moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    plot.addEventListener("pointermove", follow);
    plot.addEventListener("pointerdown", follow);
    plot.addEventListener("keydown", function (event) {
      var move = moves[event.key];
      if (!move || event.ctrlKey || event.altKey || event.metaKey) { return; }
      event.preventDefault();
      var far = event.shiftKey ? 5 : 1;
      show(at[0] + far * move[0] / steps, at[1] + far * move[1] / steps);
    });
    readout.hidden = false;
    plot.tabIndex = 0;
    show((facts.start[0] - facts.x[0]) / (facts.x[1] - facts.x[0]),
      (facts.start[1] - facts.y[0]) / (facts.y[1] - facts.y[0]));
  }
  Array.prototype.forEach.call(document.querySelectorAll(".latent"), start);
})();
