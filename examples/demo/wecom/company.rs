//! Generates a company of any size.

use super::people::{Department, Member};

/// The most departments directly below another one.
const CHILDREN: u32 = 8;

/// The departments of a company: a tree with one root.
pub(super) fn departments(count: u32) -> Vec<Department> {
    let department = |number: u32| Department {
        id: number,
        parent: match number {
            1 => 0,
            _ => (number - 2) / CHILDREN + 1,
        },
        name: format!("部门{number}"),
        name_en: format!("Department {number}"),
        visible: true,
    };
    (1..=count).map(department).collect()
}

/// The members of a company, spread over its departments. Each department has a leader.
pub(super) fn members(count: u32, departments: u32) -> Vec<Member> {
    (0..count)
        .map(|number| member(number, departments))
        .collect()
}

/// The member with this number; the same for every call.
fn member(number: u32, departments: u32) -> Member {
    let department = number % departments + 1;
    let userid = format!("user{number:06}");
    Member {
        name: format!("员工{number}"),
        department: vec![department],
        is_leader_in_dept: vec![u8::from(number < departments)],
        main_department: department,
        position: "职员".to_owned(),
        gender: "0".to_owned(),
        mobile: format!("139{number:08}"),
        biz_mail: format!("{userid}@corp.example"),
        status: 1,
        visible: true,
        userid,
        ..Member::default()
    }
}
