//! A session of the console as the credential of a request to an API of the same listener.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::Method;
use http::request::Parts;

use super::Console;
use super::request::ConsoleRequest;
use super::visitor::{self, Found};
use crate::face::browser::single_header;
use crate::request::console::ConsoleRight;
use crate::request::head::{Connection, Head};

/// Who sends a request to an API with a session of the console.
#[derive(Debug)]
pub(in crate::face::admin) enum ApiVisitor {
    /// There is no session.
    Nobody,
    /// The rules of `[console]` admit the person no longer.
    Refused,
    /// A change lacks the CSRF token of its session in `X-CSRF-Token`.
    NoCsrfToken,
    /// The store failed.
    Unavailable,
    Admitted {
        /// The name in histories and in the audit log.
        by: String,
        right: ConsoleRight,
    },
}

impl Console {
    /// Looks for the session of a request to an API.
    pub(in crate::face::admin) async fn api_visitor(
        &self,
        parts: &Parts,
        connection: &Connection,
    ) -> ApiVisitor {
        let site = self.live.site();
        let Some(settings) = site.console.as_ref() else {
            return ApiVisitor::Nobody;
        };
        let now = self.live.services().clock.now();
        let Ok(head) = Head::parse(parts, connection, site.parse_options(), now) else {
            return ApiVisitor::Nobody;
        };
        let request = ConsoleRequest::new(&head, settings);
        let visitor = match visitor::find(self, &site, settings, &request).await {
            Found::Visitor(visitor) => visitor,
            Found::Refused(_) => return ApiVisitor::Refused,
            Found::Nobody => return ApiVisitor::Nobody,
            Found::Unavailable => return ApiVisitor::Unavailable,
        };
        let is_read = matches!(parts.method, Method::GET | Method::HEAD);
        let sent = single_header(head.headers, "x-csrf-token").unwrap_or_default();
        let token = visitor.csrf_token.as_bytes();
        if !is_read && verify_slices_are_equal(sent.as_bytes(), token).is_err() {
            return ApiVisitor::NoCsrfToken;
        }
        ApiVisitor::Admitted {
            by: visitor.by,
            right: visitor.right,
        }
    }
}
