// Submits the form of this page to the provider.
(function () {
  "use strict";
  var form = document.getElementById("post");
  if (form) {
    // A field named `submit` would hide the method of the form.
    HTMLFormElement.prototype.submit.call(form);
  }
})();
