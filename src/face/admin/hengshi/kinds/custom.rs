//! `ctr` and `qince`: portals whose protocols are not public. `menshen.custom` describes them.

use serde_json::{Value, json};

use super::super::every_kind::{self, Fields};
use super::super::form::Form;
use super::super::kind::HengshiKind;
use super::super::mapping::Shape;
use super::super::table::{Draft, Rest};
use super::Before;

/// The keys without which no portal is described.
const REQUIRED: [&str; 2] = ["subject", "profile"];

pub(super) fn read(form: &mut Form<'_>, draft: &mut Draft, before: Before<'_>, kind: HengshiKind) {
    let recipe = before.in_menshen("custom").and_then(Value::as_object);
    let has = |key: &str| recipe.is_some_and(|recipe| recipe.contains_key(key));
    if recipe.is_none() {
        let label = kind.label();
        let zh = format!(
            "{label} 的登录协议没有公开，请在 menshen.custom 中描述它：subject、profile、step，以及 \
             authorize_url 或 entry"
        );
        let en = format!(
            "the protocol of {label} is not public: describe it in menshen.custom, with subject, \
             profile, step, and authorize_url or entry"
        );
        form.refuse("menshen.custom", zh, en);
    }
    for key in REQUIRED.into_iter().filter(|key| !has(key)) {
        form.missing(&format!("menshen.custom.{key}"));
    }
    if !has("step") {
        form.missing("menshen.custom.step");
    }
    if !has("authorize_url") && !has("entry") {
        let zh = "authorize_url 和 entry 至少要有一个";
        let en = "authorize_url or entry is required";
        form.refuse("menshen.custom.authorize_url", zh, en);
    }
    // Makes the connector one of this kind even if the recipe is empty.
    draft.imply("custom", json!({}));
    every_kind::read_login(form, draft, Shape::Plain);
    every_kind::read(form, draft, Shape::Plain);
}

pub(super) fn show(rest: &mut Rest, fields: &mut Fields) {
    every_kind::show_login(rest, fields, Shape::Plain);
    every_kind::show(rest, fields, Shape::Plain);
}
