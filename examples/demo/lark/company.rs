//! Generates a company of any size.

use super::people::{Department, Person};

/// The most departments directly below another one, or at the top.
const CHILDREN: u32 = 8;

/// The departments of a company.
pub(super) fn departments(count: u32) -> Vec<Department> {
    let department = |number: u32| Department {
        id: department_id(number),
        parent: match (number - 1) / CHILDREN {
            0 => "0".to_owned(),
            above => department_id(above),
        },
        name: format!("部门{number}"),
        leader: Some(user_id(number - 1)),
    };
    (1..=count).map(department).collect()
}

/// The people of a company, spread over its departments.
pub(super) fn people(count: u32, departments: u32) -> Vec<Person> {
    let person = |number: u32| {
        let department = department_id(number % departments + 1);
        Person {
            mobile: format!("+86139{number:08}"),
            employee_no: format!("{number}"),
            job_title: "职员".to_owned(),
            ..Person::new(&user_id(number), &format!("员工{number}"), &[&department])
        }
    };
    (0..count).map(person).collect()
}

fn department_id(number: u32) -> String {
    format!("od-{number}")
}

fn user_id(number: u32) -> String {
    format!("user{number:06}")
}
