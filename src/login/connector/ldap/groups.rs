//! The groups of a person, found by a search.

use super::super::{ConnectorError, SourceRefusal};
use super::Searcher;
use super::dn::Dn;
use super::entry::{self, GROUPS_MAX, GroupsError};
use super::error::SEARCH;
use super::filter::{self, Values};
use super::message::{SearchRequest, SearchScope};
use super::settings::Groups;
use crate::text;

/// The most levels of groups that contain groups.
const LEVELS_MAX: usize = 10;

/// For how many groups one search asks which groups contain them.
const GROUPS_PER_SEARCH: usize = 50;

/// The groups that were found.
#[derive(Default)]
struct Found {
    dns: std::collections::BTreeSet<Dn>,
    names: Vec<String>,
}

/// The names of the groups of a person, in the order in which they are found.
pub(super) async fn search(
    groups: &Groups,
    person: Values<'_>,
    searcher: &mut Searcher<'_>,
) -> Result<Vec<String>, GroupsError> {
    let mut found = Found::default();
    let direct = groups.filter.encode(person);
    let mut level = find(groups, &direct, person.dn, searcher, &mut found).await?;
    let mut levels = 1;
    // A group that was found before is not asked for again, so a circle ends.
    while groups.nested && !level.is_empty() && levels < LEVELS_MAX {
        levels += 1;
        let mut next = Vec::new();
        for dns in level.chunks(GROUPS_PER_SEARCH) {
            let filters = dns
                .iter()
                .map(|dn| groups.filter.encode(Values { dn, ..person }));
            let any = filter::any_of(&filters.collect::<Vec<_>>());
            next.extend(find(groups, &any, person.dn, searcher, &mut found).await?);
        }
        level = next;
    }
    Ok(found.names)
}

/// Searches groups; returns the DNs of those that were not found before.
async fn find(
    groups: &Groups,
    filter: &[u8],
    person_dn: &str,
    searcher: &mut Searcher<'_>,
    found: &mut Found,
) -> Result<Vec<String>, GroupsError> {
    let request = SearchRequest {
        base: &groups.base,
        scope: SearchScope::Subtree,
        size_limit: GROUPS_MAX + 1,
        filter,
        attributes: std::slice::from_ref(&groups.name),
    };
    let answer = searcher.search(&request).await?;
    if !answer.base_exists {
        return Err(GroupsError::OfSource(ConnectorError::Misconfigured {
            remedy: text!(
                "correct `base` in [connector.ID.ldap.groups], and let the account that searches read it",
                "请改正 [connector.ID.ldap.groups] 中的 `base`，并让查询所用的账号有权读取"
            ),
            source: SourceRefusal {
                call: SEARCH,
                code: 32,
                message: format!("{} does not exist", groups.base),
            },
        }));
    }
    let mut new = Vec::new();
    for group in answer.entries {
        // Without a DN that can be compared, a circle could not be noticed.
        let Ok(dn) = Dn::parse(&group.dn) else {
            continue;
        };
        if found.dns.insert(dn) {
            found.names.extend(entry::first_text(&group, &groups.name));
            new.push(group.dn);
        }
    }
    if answer.is_truncated || found.dns.len() > GROUPS_MAX {
        return Err(entry::too_many_groups(person_dn));
    }
    Ok(new)
}
