// Sends the form of this page off: it leads to where the person signs in.
(function () {
  "use strict";
  var form = document.getElementById("post");
  if (form) {
    // A field may have the name `submit`.
    HTMLFormElement.prototype.submit.call(form);
  }
})();
