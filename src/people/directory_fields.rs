//! Derives what the directory lists and searches from the mapped fields of a person.

use std::collections::BTreeMap;

use super::profile::UserFields;
use crate::store::{Department, DirectoryFields, Membership};

/// The longest name, e-mail address, mobile number, tag, and name or ID of a department, in characters.
pub(super) const TEXT_CHARS_MAX: usize = 256;
/// The most departments and tags that are kept of a person.
const ENTRIES_MAX: usize = 100;
/// The most levels of a department's path.
const LEVELS_MAX: usize = 32;

/// The fields for the directory. Longer texts are cut, and departments and tags beyond the limit left out.
pub(super) fn directory_fields(fields: &UserFields) -> DirectoryFields {
    let mut tags: Vec<_> = fields.tags.iter().map(|tag| shorten(tag)).collect();
    tags.sort_unstable();
    tags.dedup();
    tags.truncate(ENTRIES_MAX);
    let mut departments = BTreeMap::new();
    let mut memberships = BTreeMap::new();
    let has_unknown_names = !fields.departments_without_path.is_empty();
    for (id, chain) in chains(fields).into_iter().take(ENTRIES_MAX) {
        let leads = fields.led_department_ids.contains(&id);
        memberships.insert(shorten(&id), leads);
        let mut parent = None;
        for (id, name) in chain.into_iter().take(LEVELS_MAX) {
            let id = shorten(&id);
            // A name that is not known does not replace one that was.
            let is_named = id != name || !has_unknown_names;
            if !is_named {
                parent = Some(id);
                continue;
            }
            let department = Department {
                id: id.clone(),
                name: shorten(&name),
                parent: parent.replace(id.clone()),
            };
            departments.entry(id).or_insert(department);
        }
    }
    DirectoryFields {
        name: fields.name.as_deref().map(shorten),
        email: fields.email.as_deref().map(shorten),
        mobile: fields.mobile.as_deref().map(shorten),
        memberships: memberships
            .into_iter()
            .map(|(department, leads)| Membership { department, leads })
            .collect(),
        departments: departments.into_values().collect(),
        tags,
    }
}

/// The direct departments, each with the IDs and names from the root down to it. A source without IDs
/// names a department by its path, and one without paths by its name.
fn chains(fields: &UserFields) -> Vec<(String, Vec<(String, String)>)> {
    let UserFields {
        departments,
        department_paths: paths,
        department_ids: ids,
        department_id_paths: id_paths,
        ..
    } = fields;
    if ids.is_empty() && paths.is_empty() {
        let alone = |name: &String| (name.clone(), vec![(name.clone(), name.clone())]);
        return departments.iter().map(alone).collect();
    }
    if ids.is_empty() {
        return paths
            .iter()
            .map(|path| (path.clone(), prefixes(path)))
            .collect();
    }
    let chain = |(at, id): (usize, &String)| {
        let names = paths.get(at).map_or("", String::as_str).split('/');
        let above = id_paths.get(at).map_or("", String::as_str).split('/');
        // From the end: the first IDs may be those of hidden departments, which have no names.
        let mut pairs: Vec<_> = above
            .rev()
            .zip(names.rev())
            .map(|(id, name)| (id.to_owned(), name.to_owned()))
            .collect();
        pairs.reverse();
        // Without the IDs above only the department itself is known, and without its name only its ID.
        let ends_here = pairs.last().is_some_and(|(last, _)| last == id);
        let chain = if ends_here { pairs } else { Vec::new() };
        (id.clone(), chain)
    };
    ids.iter().enumerate().map(chain).collect()
}

/// The path and all its beginnings, each with its last name.
fn prefixes(path: &str) -> Vec<(String, String)> {
    let mut chain = Vec::new();
    let mut end = 0;
    for name in path.split('/') {
        end += name.len();
        chain.push((path[..end].to_owned(), name.to_owned()));
        end += 1;
    }
    chain
}

pub(super) fn shorten(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn department(id: &str, name: &str, parent: Option<&str>) -> Department {
        Department {
            id: id.to_owned(),
            name: name.to_owned(),
            parent: parent.map(str::to_owned),
        }
    }

    #[test]
    fn departments_with_ids_bring_those_above_them() {
        let found = directory_fields(&UserFields {
            department_ids: vec!["3".to_owned(), "7".to_owned()],
            department_paths: vec!["公司/研发/平台".to_owned(), "外派".to_owned()],
            department_id_paths: vec!["1/2/3".to_owned(), "7".to_owned()],
            led_department_ids: vec!["7".to_owned()],
            ..UserFields::default()
        });
        let expected = [
            department("1", "公司", None),
            department("2", "研发", Some("1")),
            department("3", "平台", Some("2")),
            department("7", "外派", None),
        ];
        assert_eq!(found.departments, expected);
        let memberships = [("3", false), ("7", true)].map(|(department, leads)| Membership {
            department: department.to_owned(),
            leads,
        });
        assert_eq!(found.memberships, memberships);
    }

    #[test]
    fn names_that_are_not_known_are_not_stored() {
        let found = directory_fields(&UserFields {
            department_ids: vec!["3".to_owned(), "7".to_owned()],
            department_paths: vec!["公司/2/平台".to_owned(), "外派".to_owned()],
            department_id_paths: vec!["1/2/3".to_owned(), "6/7".to_owned()],
            departments_without_path: vec!["3".to_owned()],
            ..UserFields::default()
        });
        let expected = [
            department("1", "公司", None),
            department("3", "平台", Some("2")),
            department("7", "外派", None),
        ];
        assert_eq!(found.departments, expected);
        assert_eq!(found.memberships.len(), 2);
    }

    #[test]
    fn departments_without_ids_are_named_by_path_or_name() {
        let found = directory_fields(&UserFields {
            department_paths: vec!["公司/研发".to_owned()],
            ..UserFields::default()
        });
        let expected = [
            department("公司", "公司", None),
            department("公司/研发", "研发", Some("公司")),
        ];
        assert_eq!(found.departments, expected);
        let found = directory_fields(&UserFields {
            departments: vec!["研发".to_owned(), "研发".to_owned()],
            ..UserFields::default()
        });
        assert_eq!(found.departments, [department("研发", "研发", None)]);
        assert_eq!(found.memberships.len(), 1);
    }

    #[test]
    fn ids_and_paths_that_do_not_fit_together_break_nothing() {
        let found = directory_fields(&UserFields {
            department_ids: vec!["3".to_owned()],
            department_paths: vec!["公司/研发".to_owned()],
            ..UserFields::default()
        });
        assert_eq!(found.departments, []);
        assert_eq!(found.memberships.len(), 1);
    }

    #[test]
    fn texts_and_lists_are_bounded() {
        let found = directory_fields(&UserFields {
            name: Some("名".repeat(1_000)),
            tags: (0..1_000).map(|n| n.to_string()).collect(),
            departments: (0..1_000).map(|n| n.to_string()).collect(),
            ..UserFields::default()
        });
        assert_eq!(found.name.unwrap().chars().count(), TEXT_CHARS_MAX);
        assert_eq!((found.tags.len(), found.memberships.len()), (100, 100));
    }
}
