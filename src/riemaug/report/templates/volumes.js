(function () {
  "use strict";
  // A sheet holds the slices across the first axis; from its grey values any slice of any axis is cut.
  function start(viewer) {
    var facts = JSON.parse(viewer.getAttribute("data-facts"));
    var shape = facts.shape;
    var sliders = Array.prototype.slice.call(viewer.querySelectorAll("input"));
    var values = viewer.querySelectorAll("output");
    var volumes = [];

    function values_of(image) {
      var canvas = document.createElement("canvas");
      canvas.width = image.naturalWidth;
      canvas.height = image.naturalHeight;
      var context = canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(image, 0, 0);
      var pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
      var grey = new Uint8Array(shape[0] * shape[1] * shape[2]);
      for (var d = 0, i = 0; d < shape[0]; d++) {
        var left = (d % facts.columns) * shape[2], top = Math.floor(d / facts.columns) * shape[1];
        for (var h = 0; h < shape[1]; h++) {
          for (var w = 0; w < shape[2]; w++, i++) {
            grey[i] = pixels[4 * ((top + h) * canvas.width + left + w)];
          }
        }
      }
      return grey;
    }

    function cut(grey, axis, place, canvas) {
      var rows = axis === 0 ? shape[1] : shape[0];
      var columns = axis === 2 ? shape[1] : shape[2];
      canvas.width = columns;
      canvas.height = rows;
      // voxels need not be cubes: a slice is as wide and as high as it is in the body
      canvas.style.aspectRatio = columns * facts.spacing[axis === 2 ? 1 : 2] + " / " +
        rows * facts.spacing[axis === 0 ? 1 : 0];
      var context = canvas.getContext("2d"), slice = context.createImageData(columns, rows);
      for (var r = 0, i = 0; r < rows; r++) {
        for (var c = 0; c < columns; c++, i += 4) {
          var d = axis === 0 ? place : r, h = axis === 0 ? r : axis === 1 ? place : c, w = axis === 2 ? place : c;
          slice.data[i] = slice.data[i + 1] = slice.data[i + 2] = grey[(d * shape[1] + h) * shape[2] + w];
          slice.data[i + 3] = 255;
        }
      }
      context.putImageData(slice, 0, 0);
    }

    // a volume of one slice has no slider, and is shown across that axis alone
    function draw(number) {
      var axis = facts.shown[number], slider = sliders[number], place = slider ? Number(slider.value) : 0;
      if (slider) { values[number].textContent = place + 1 + " of " + shape[axis]; }
      volumes.forEach(function (volume) { cut(volume.grey, axis, place, volume.canvases[number]); });
    }

    function begin() {
      var figures = Array.prototype.slice.call(viewer.querySelectorAll("figure"));
      Promise.all(figures.map(function (figure) {
        var image = new Image();
        image.src = figure.getAttribute("data-sheet");
        return image.decode().then(function () {
          volumes.push({ grey: values_of(image), canvases: figure.querySelectorAll("canvas") });
        });
      })).then(function () {
        facts.shown.forEach(function (axis, number) {
          if (sliders[number]) { sliders[number].addEventListener("input", function () { draw(number); }); }
          draw(number);
        });
        viewer.hidden = false;
      });
    }

    // the work is done only once the class is looked at
    var section = viewer.closest("details");
    if (!section || section.open) { begin(); return; }
    section.addEventListener("toggle", begin, { once: true });
  }
  Array.prototype.forEach.call(document.querySelectorAll(".volumes"), start);
})();
