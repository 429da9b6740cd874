//! Generates a company of any size.

use super::people::{Department, Member};

/// The most departments directly below another one.
const CHILDREN: u32 = 8;

/// The departments of a company: a tree with one root.
pub(super) fn departments(count: u32) -> Vec<Department> {
    let department = |number: u32| Department {
        id: i64::from(number),
        parent: match number {
            1 => 0,
            _ => i64::from((number - 2) / CHILDREN + 1),
        },
        name: format!("部门{number}"),
        visible: true,
    };
    (1..=count).map(department).collect()
}

/// The members of a company, spread over its departments.
pub(super) fn members(count: u32, departments: u32) -> Vec<Member> {
    let member = |number: u32| {
        let userid = format!("user{number:06}");
        let department = i64::from(number % departments + 1);
        Member {
            title: "职员".to_owned(),
            mobile: format!("139{number:08}"),
            org_email: format!("{userid}@corp.example"),
            ..Member::new(&userid, &format!("员工{number}"), &[department])
        }
    };
    (0..count).map(member).collect()
}
