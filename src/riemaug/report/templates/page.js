(function () {
  "use strict";
  var sections = Array.prototype.slice.call(document.querySelectorAll("details"));
  var opened = [];
  window.addEventListener("beforeprint", function () {
    opened = sections.filter(function (section) { return !section.open; });
    opened.forEach(function (section) { section.open = true; });
  });
  window.addEventListener("afterprint", function () {
    opened.forEach(function (section) { section.open = false; });
  });
  function follow() {
    var target = document.getElementById(location.hash.slice(1));
    if (target && target.tagName === "DETAILS") { target.open = true; target.scrollIntoView(); }
  }
  window.addEventListener("hashchange", follow);
  follow();
  var button = document.getElementById("toggle");
  if (button) {
    var classes = sections.filter(function (section) { return section.classList.contains("class"); });
    button.hidden = false;
    button.addEventListener("click", function () {
      var open = classes.some(function (section) { return !section.open; });
      classes.forEach(function (section) { section.open = open; });
      button.textContent = open ? "Close all" : "Open all";
    });
  }
})();
