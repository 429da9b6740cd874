//! The OpenAPI description: what the handlers do not say themselves.

use utoipa::OpenApi;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, OpenApi as Description, Ref, ResponseBuilder};

use super::error::Problem;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "menshen admin API",
        description = "Requests carry a token of [admin] as bearer token. Times are seconds since 1970."
    ),
    security(("token" = [])),
    components(schemas(Problem)),
    tags(
        (name = "sessions", description = "Signed-in browsers"),
        (name = "people", description = "People, their accounts and identities"),
        (name = "local people", description = "People of a connector whose passwords the store keeps"),
        (name = "connectors", description = "Connectors, and the access tokens that menshen holds at their sources"),
        (name = "sync", description = "Directory syncs"),
        (name = "audit", description = "Logins, refusals, sign-outs and changes"),
        (name = "settings", description = "Versions of the managed settings"),
        (name = "hengshi", description = "The settings of connectors, as HENGSHI's API has them"),
        (name = "decisions", description = "Whether requests are allowed, and why"),
    )
)]
struct Overview;

/// The responses that every request may get.
const COMMON_RESPONSES: [(&str, &str); 4] = [
    ("401", "The request has no token of [admin]"),
    ("403", "The token does not have the right to do this"),
    ("405", "The path does not accept this method"),
    (
        "503",
        "The store does not answer. If the request was a change, `error` says whether this process \
         already applies it although it is not stored",
    ),
];

/// The whole description, as JSON: the paths of the router, and what holds for all of them.
pub(super) fn complete(paths: Description) -> serde_json::Value {
    let mut description = Overview::openapi();
    description.merge(paths);
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    let components = description.components.get_or_insert_default();
    components.add_security_scheme("token", SecurityScheme::Http(bearer));
    for operation in description.paths.paths.values_mut().flat_map(operations) {
        let tags = operation.tags.as_deref().unwrap_or_default();
        let schema = match tags.contains(&"hengshi".to_owned()) {
            true => "Envelope",
            false => "Problem",
        };
        for (status, text) in COMMON_RESPONSES {
            let responses = &mut operation.responses.responses;
            responses
                .entry(status.to_owned())
                .or_insert_with(|| problem_response(schema, text).into());
        }
    }
    serde_json::to_value(&description).expect("a description is plain data")
}

fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let methods = [
        &mut path.get,
        &mut path.post,
        &mut path.put,
        &mut path.patch,
        &mut path.delete,
    ];
    methods.into_iter().flatten()
}

fn problem_response(schema: &str, text: &str) -> utoipa::openapi::Response {
    let problem = Content::new(Some(Ref::from_schema_name(schema)));
    ResponseBuilder::new()
        .description(text)
        .content("application/json", problem)
        .build()
}
