//! `/console/routes`: the routes, and whether a request would be allowed, and why.

use askama::Template;
use http::{Response, StatusCode};

use super::layout::Frame;
use super::{PageContext, response};
use crate::face::explanation;
use crate::people::directory::SimulateError;
use crate::request::Body;
use crate::request::explain::{self, ExplainArguments, ExplainQuery};
use crate::request::route::{Access, Route};
use crate::wording::Text;

/// The methods that can be chosen.
const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];

#[derive(Template)]
#[template(path = "console/routes.html")]
struct RoutesPage<'a> {
    frame: Frame<'a>,
    page: Page<'a>,
}

struct Page<'a> {
    url: &'a str,
    login: &'a str,
    methods: Vec<MethodChoice>,
    problem: Option<String>,
    /// The lines of the explanation.
    lines: Option<String>,
    rows: Vec<Row>,
}

struct MethodChoice {
    name: &'static str,
    is_selected: bool,
}

struct Row {
    name: String,
    /// Host and path.
    place: String,
    access: &'static str,
    is_public: bool,
    rule: Option<String>,
    connectors: Vec<String>,
    upstreams: Vec<String>,
}

/// Why a request is not explained.
enum ExplainError {
    /// Says which field is wrong.
    Malformed(String),
    Unavailable,
}

pub(super) async fn show(context: &PageContext<'_>) -> Response<Body> {
    let request = context.request;
    let method = request.parameter("method").unwrap_or("GET");
    let (url, login) = (request.parameter("url"), request.parameter("as"));
    let explained = match url {
        Some(url) => Some(explain(context, url, login, method).await),
        None => None,
    };
    let (lines, problem) = match explained {
        None => (None, None),
        Some(Ok(lines)) => (Some(lines), None),
        Some(Err(ExplainError::Malformed(problem))) => (None, Some(problem)),
        Some(Err(ExplainError::Unavailable)) => {
            (None, Some(context.texts().store_unavailable.to_owned()))
        }
    };
    let status = match problem {
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        None => StatusCode::OK,
    };
    let routes = context.site.routes.all().iter();
    let methods = METHODS.map(|name| MethodChoice {
        name,
        is_selected: name == method,
    });
    let page = Page {
        url: url.unwrap_or_default(),
        login: login.unwrap_or_default(),
        methods: methods.into(),
        problem,
        lines,
        rows: routes.map(|route| Row::new(context, route)).collect(),
    };
    let frame = Frame::of(context);
    let template = RoutesPage { frame, page };
    response::page(request, status, &template)
}

/// The same lines as those of `menshen explain`.
async fn explain(
    context: &PageContext<'_>,
    url: &str,
    login: Option<&str>,
    method: &str,
) -> Result<String, ExplainError> {
    let query = ExplainQuery::parse(ExplainArguments {
        url: url.to_owned(),
        login: login.map(str::to_owned),
        method: Some(method.to_owned()),
        ..ExplainArguments::default()
    });
    let lang = context.request.lang;
    let malformed = |error: Text| ExplainError::Malformed(lang.text(&error).to_owned());
    let query = query.map_err(|error| malformed(Text::of(&error)))?;
    let (site, services) = (context.site, context.services);
    let directory = services.people.directory();
    let now = context.request.head.received_at;
    let explained = explain::explain(&site.explain_context(), directory, &query, now).await;
    let explanation = explained.map_err(|error| match error {
        SimulateError::Store(error) => {
            tracing::error!(error = %crate::telemetry::error_chain(&error), "a request could not be explained");
            ExplainError::Unavailable
        }
        SimulateError::Unknown { .. } | SimulateError::NoIdentity { .. } => {
            malformed(Text::of(&error))
        }
    })?;
    Ok(explanation::text(&explanation, lang.language()))
}

impl Row {
    fn new(context: &PageContext<'_>, route: &Route) -> Self {
        let t = context.texts();
        let upstreams = context.site.forwarder.upstream_names(route).into_iter();
        let connectors = route.connectors.iter();
        Self {
            name: route.name.as_str().to_owned(),
            place: format!("{}{}", route.host, route.path.as_str()),
            access: match route.access {
                Access::Public => t.access_public,
                Access::SignedIn => t.access_signed_in,
                Access::Rule => t.access_rule,
            },
            is_public: route.access == Access::Public,
            rule: route.allow.as_ref().map(|rule| rule.source().to_owned()),
            connectors: connectors.map(ToString::to_string).collect(),
            upstreams: upstreams
                .map(|name| String::from_utf8_lossy(name.as_bytes()).into_owned())
                .collect(),
        }
    }
}
