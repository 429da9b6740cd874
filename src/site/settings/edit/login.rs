//! Changes the choices of `[login]`.

use super::Edit;
use crate::site::settings::{ChangeError, FieldProblem, LoginChange};
use crate::store::ConnectorId;
use crate::text;
use crate::wording::Text;

impl Edit<'_> {
    pub(super) fn set_login(&mut self, login: &LoginChange) -> Result<(), ChangeError> {
        let choices = self.settings.login();
        let from_file = |what: &str, at: &_| ChangeError::FromFile {
            what: Text::same(format!("[login] {what}")),
            at: Clone::clone(at),
        };
        let before = self.edited.document.login.clone();
        let managed = &mut self.edited.document.login;
        if let Some(default) = &login.default {
            match &choices.default_from {
                Some(at) if *default != choices.default => return Err(from_file("default", at)),
                Some(_) => {}
                None => managed.default.clone_from(default),
            }
        }
        if let Some(order) = &login.order {
            match &choices.order_from {
                Some(at) if *order != choices.order => return Err(from_file("order", at)),
                Some(_) => {}
                None => managed.order.clone_from(order),
            }
        }
        for (field, is_changed) in [
            ("login.default", managed.default != before.default),
            ("login.order", managed.order != before.order),
        ] {
            if is_changed {
                managed.etag = self.number;
                self.edited.fields.push(field.to_owned());
            }
        }
        self.check_login()
    }

    /// The choices must name connectors, each once.
    fn check_login(&self) -> Result<(), ChangeError> {
        let login = &self.edited.document.login;
        let exists = |id: &ConnectorId| {
            let document = &self.edited.document;
            document.connectors.contains_key(id) || self.settings.file.connectors.contains_key(id)
        };
        let mut problems = Vec::new();
        let help = text!("name one of the connectors", "请写其中一个认证源");
        if let Some(id) = login.default.as_ref().filter(|id| !exists(id)) {
            let message = text!("there is no connector `{id}`", "没有认证源 `{id}`");
            problems.push(FieldProblem::new("default", message, help.clone()));
        }
        for (index, id) in login.order.iter().enumerate() {
            let field = format!("order[{index}]");
            if !exists(id) {
                let message = text!("there is no connector `{id}`", "没有认证源 `{id}`");
                problems.push(FieldProblem::new(field, message, help.clone()));
            } else if login.order[..index].contains(id) {
                let message = text!("`{id}` is there twice", "`{id}` 出现了两次");
                problems.push(FieldProblem::new(
                    field,
                    message,
                    text!("remove one of them", "请删除其中一个"),
                ));
            }
        }
        match problems.is_empty() {
            true => Ok(()),
            false => Err(ChangeError::Problems(problems)),
        }
    }
}
