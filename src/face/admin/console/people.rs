//! `/console/people`: finds people, and shows the organisation as a tree.

use askama::Template;
use http::{Response, StatusCode};

use super::layout::Frame;
use super::moment::Moment;
use super::pager::Pager;
use super::{PATH, PageContext, response};
use crate::request::Body;
use crate::store::{PeopleQuery, PersonRecord, StoreError};

mod tree;

use tree::{Tree, TreeRow};

/// The people of one page.
const PER_PAGE: u32 = 50;

#[derive(Template)]
#[template(path = "console/people.html")]
struct PeoplePage<'a> {
    frame: Frame<'a>,
    page: Page,
}

struct Page {
    text: String,
    connector: String,
    department: String,
    closed: String,
    connectors: Vec<String>,
    rows: Vec<Row>,
    pager: Pager,
    trees: Vec<Tree>,
}

struct Row {
    id: String,
    login: String,
    name: String,
    email: String,
    mobile: String,
    seen: Option<Moment>,
    closed: bool,
}

impl Row {
    fn new(context: &PageContext<'_>, person: PersonRecord) -> Self {
        let login = person.login.to_string();
        Self {
            id: person.id.to_string(),
            name: person.name.unwrap_or_else(|| login.clone()),
            login,
            email: person.email.unwrap_or_default(),
            mobile: person.mobile.unwrap_or_default(),
            seen: person.seen_at.map(|at| context.moment(at)),
            closed: person.closed,
        }
    }
}

pub(super) async fn show(context: &PageContext<'_>) -> Response<Body> {
    match page(context).await {
        Ok(page) => {
            let frame = Frame::of(context);
            let template = PeoplePage { frame, page };
            response::page(context.request, StatusCode::OK, &template)
        }
        Err(error) => response::store_failed(context, &error),
    }
}

async fn page(context: &PageContext<'_>) -> Result<Page, StoreError> {
    let request = context.request;
    let text_of = |name: &str| request.parameter(name).unwrap_or_default().to_owned();
    let mut found = match query(context) {
        Some(query) => context.services.people.list(&query).await?,
        None => Vec::new(),
    };
    let per_page = usize::try_from(PER_PAGE).unwrap_or(usize::MAX);
    let has_next = found.len() > per_page;
    found.truncate(per_page);
    let last = found.last().filter(|_| has_next);
    let pager = Pager::continued(request, last.map(|person| person.login.as_str()));
    let is_search = ["text", "after"]
        .iter()
        .any(|name| request.parameter(name).is_some());
    Ok(Page {
        text: text_of("text"),
        connector: text_of("connector"),
        department: text_of("department"),
        closed: text_of("closed"),
        connectors: context.connector_ids(),
        pager,
        trees: match is_search {
            true => Vec::new(),
            false => tree::of_connectors(context).await?,
        },
        rows: found
            .into_iter()
            .map(|person| Row::new(context, person))
            .collect(),
    })
}

/// `None` if nobody can match.
fn query(context: &PageContext<'_>) -> Option<PeopleQuery> {
    let request = context.request;
    let connector = request.parameter("connector").map(str::parse);
    let after = request.parameter("after").map(str::parse);
    Some(PeopleQuery {
        // One more shows whether there is a next page.
        max: PER_PAGE + 1,
        text: request.parameter("text").map(str::to_owned),
        department: request.parameter("department").map(str::to_owned),
        connector: connector.transpose().ok()?,
        after: after.transpose().ok()?,
        closed: match request.parameter("closed") {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => None,
        },
        ..PeopleQuery::default()
    })
}

/// The address of the people of a department.
fn department_href(connector: &str, department: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("connector", connector);
    query.append_pair("department", department);
    format!("{PATH}/people?{}", query.finish())
}
