use super::*;
use crate::store::AccountId;

const RULES: SyncRules = SyncRules {
    creates: true,
    updates: true,
    rewrites: false,
};

fn fields(name: &str, department_ids: &[&str]) -> UserFields {
    UserFields {
        name: Some(name.to_owned()),
        mobile: Some("13800000000".to_owned()),
        department_ids: department_ids.iter().map(|id| (*id).to_owned()).collect(),
        ..UserFields::default()
    }
}

fn person(status: ListedStatus) -> SourcePerson {
    SourcePerson {
        subject: "ww1:li".parse().unwrap(),
        status,
        login: "li".parse().unwrap(),
        fields: fields("李", &["2"]),
        is_complete: true,
        verified_fields: Vec::new(),
    }
}

fn known() -> SourceIdentity {
    SourceIdentity {
        subject: "ww1:li".parse().unwrap(),
        account: AccountId::new([1; 16]),
        login: "li".parse().unwrap(),
        sets_login: true,
        fields: serde_json::to_string(&fields("李", &["2"])).unwrap(),
        vouched: Vec::new(),
        closed: false,
        closed_by_sync: false,
    }
}

fn inactive() -> ListedStatus {
    ListedStatus::Inactive("left".to_owned())
}

fn unclear() -> ListedStatus {
    ListedStatus::Unclear("status 9".to_owned())
}

fn updated(fields: &[&str]) -> PersonChange {
    PersonChange::Update(fields.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn what_happens_to_a_person_depends_on_both_sides() {
    let closed_by_hand = SourceIdentity {
        closed: true,
        ..known()
    };
    let closed_by_sync = SourceIdentity {
        closed_by_sync: true,
        ..closed_by_hand.clone()
    };
    let renamed = SourceIdentity {
        fields: serde_json::to_string(&fields("黎", &["2"])).unwrap(),
        ..known()
    };
    let active = || ListedStatus::Active;
    let reopened = |fields: &[&str]| match updated(fields) {
        PersonChange::Update(fields) => PersonChange::Reopen(fields),
        other => other,
    };
    for (known, status, expected) in [
        (None, active(), PersonChange::Create),
        (None, inactive(), PersonChange::Ignore),
        (None, unclear(), PersonChange::Ignore),
        (Some(known()), active(), PersonChange::Unchanged),
        (
            Some(known()),
            inactive(),
            PersonChange::Close("left".to_owned()),
        ),
        (Some(known()), unclear(), PersonChange::Unchanged),
        (Some(renamed), active(), updated(&["name"])),
        (
            Some(closed_by_hand.clone()),
            active(),
            PersonChange::Unchanged,
        ),
        (
            Some(closed_by_hand.clone()),
            inactive(),
            PersonChange::Unchanged,
        ),
        (Some(closed_by_hand), unclear(), PersonChange::Unchanged),
        (Some(closed_by_sync.clone()), active(), reopened(&[])),
        (
            Some(closed_by_sync.clone()),
            inactive(),
            PersonChange::Unchanged,
        ),
        (Some(closed_by_sync), unclear(), PersonChange::Unchanged),
    ] {
        let (change, _) = change_of(known.as_ref(), &person(status.clone()), RULES);
        assert_eq!(change, expected, "{known:?} {status:?}");
    }
}

#[test]
fn fields_and_login_name_follow_the_source_only_if_they_may() {
    let active = person(ListedStatus::Active);
    let keeps = SyncRules {
        updates: false,
        ..RULES
    };
    let before = SourceIdentity {
        login: "li.si".parse().unwrap(),
        fields: serde_json::to_string(&fields("黎", &["3"])).unwrap(),
        ..known()
    };
    let change = |known: &SourceIdentity, rules| change_of(Some(known), &active, rules).0;
    let expected = updated(&["department_ids", "name", "login"]);
    assert_eq!(change(&before, RULES), expected);
    assert_eq!(change(&before, keeps), PersonChange::Unchanged);
    // The login name of an account follows one identity.
    let second = SourceIdentity {
        sets_login: false,
        ..before
    };
    assert_eq!(change(&second, RULES), updated(&["department_ids", "name"]));
    let rewrites = SyncRules {
        rewrites: true,
        ..RULES
    };
    assert_eq!(change(&known(), rewrites), updated(&[]));
    let damaged = SourceIdentity {
        fields: "not JSON".to_owned(),
        ..known()
    };
    assert_eq!(
        change(&damaged, RULES),
        updated(&["department_ids", "mobile", "name"])
    );
}

#[test]
fn fields_that_need_consent_stay_if_a_listing_lacks_them() {
    let mut listed = person(ListedStatus::Active);
    listed.fields.mobile = None;
    let (change, _) = change_of(Some(&known()), &listed, RULES);
    assert_eq!(change, updated(&["mobile"]));
    listed.is_complete = false;
    let (change, fields) = change_of(Some(&known()), &listed, RULES);
    assert_eq!(change, PersonChange::Unchanged);
    assert_eq!(fields.mobile.as_deref(), Some("13800000000"));
}

#[test]
fn a_person_is_in_any_of_some_departments_if_one_is_theirs() {
    let some = HashSet::from(["2".to_owned(), "4".to_owned()]);
    for (departments, expected) in [
        (vec!["2"], true),
        (vec!["3", "4"], true),
        (vec!["3"], false),
        (vec![], false),
    ] {
        let identity = SourceIdentity {
            fields: serde_json::to_string(&fields("李", &departments)).unwrap(),
            ..known()
        };
        assert_eq!(is_in_any(&identity, &some), expected, "{departments:?}");
    }
}

fn department(id: &str, name: &str, parent: Option<&str>) -> Department {
    Department {
        id: id.to_owned(),
        name: name.to_owned(),
        parent: parent.map(str::to_owned),
    }
}

fn tree() -> Vec<Department> {
    vec![
        department("1", "公司", None),
        department("2", "研发", Some("1")),
        department("3", "平台", Some("2")),
        department("4", "销售", Some("1")),
    ]
}

#[test]
fn departments_are_created_moved_renamed_and_missed() {
    assert_eq!(
        department_changes(&tree(), &tree(), None),
        DepartmentChanges::default()
    );
    let listed = vec![
        department("1", "公司", None),
        department("2", "研发中心", Some("1")),
        department("3", "平台", Some("1")),
        department("5", "人事", Some("1")),
        department("5", "again", None),
    ];
    let changes = department_changes(&tree(), &listed, None);
    assert_eq!(changes.created, [department("5", "人事", Some("1"))]);
    assert_eq!(changes.updated, listed[1..3]);
    assert_eq!(changes.missing, ["4"]);
    assert_eq!(department_changes(&[], &tree(), None).created, tree());
}

#[test]
fn within_one_department_only_its_subtree_is_missed() {
    let listed = vec![department("2", "研发", Some("1"))];
    let changes = department_changes(&tree(), &listed, Some("2"));
    assert_eq!(changes.missing, ["3"]);
    assert_eq!(
        department_changes(&tree(), &[], Some("2")).missing,
        ["2", "3"]
    );
    assert_eq!(
        department_changes(&tree(), &[], Some("9")),
        DepartmentChanges::default()
    );
}

#[test]
fn a_circle_of_departments_has_an_end() {
    let circle = [
        department("1", "a", Some("2")),
        department("2", "b", Some("1")),
    ];
    assert_eq!(subtree(&circle, "1").len(), 2);
    assert_eq!(subtree(&circle, "9"), HashSet::from(["9".to_owned()]));
}

#[test]
fn verified_fields_follow_a_complete_listing_and_an_incomplete_one_takes_none_away() {
    let (mobile, email) = (LinkField::Mobile, LinkField::Email);
    let known = SourceIdentity {
        vouched: vec![
            (mobile, "1".to_owned()),
            (email, "li@corp.example".to_owned()),
        ],
        ..known()
    };
    let listed = |is_complete, fields: &[(LinkField, &str)]| {
        let fields = fields.iter();
        let fields = fields.map(|(field, value)| (*field, (*value).to_owned()));
        let person = SourcePerson {
            is_complete,
            verified_fields: fields.collect(),
            ..person(ListedStatus::Active)
        };
        changed_vouched_fields(&known, &person)
    };
    let same = [(email, " LI@corp.example"), (mobile, "1")];
    assert_eq!(listed(true, &same), None);
    assert_eq!(listed(true, &[]), Some(Vec::new()));
    let only_mobile = vec![(mobile, "1".to_owned())];
    assert_eq!(listed(true, &[(mobile, "1")]), Some(only_mobile));
    assert_eq!(listed(false, &[]), None);
    assert_eq!(listed(false, &[(mobile, "1")]), None);
    let moved = vec![
        (mobile, "2".to_owned()),
        (email, "li@corp.example".to_owned()),
    ];
    assert_eq!(listed(false, &[(mobile, "2")]), Some(moved));
    let person = person(unclear());
    assert_eq!(changed_vouched_fields(&known, &person), None);
}
