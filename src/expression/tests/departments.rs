//! `in_department` and `leads`, also where names are not known.

use super::*;

/// Evaluates a rule for a person with these fields.
fn rule(user: &serde_json::Value, source: &str) -> Result<bool, EvalError> {
    let variables = TestVariables {
        user: Some(Document::from(user)),
        ..variables()
    };
    let rule = Expression::compile(source, Scope::Rule).unwrap();
    rule.evaluate_bool(&variables)
}

fn unknown<T>() -> Result<T, EvalError> {
    Err(EvalError::Failed {
        problem: Text::fixed(
            "the names of the person's departments are not known",
            "此人所在部门的名称未知",
        ),
    })
}

#[test]
fn a_rule_on_names_that_are_not_known_has_no_answer() {
    let user = json!({
        "department_ids": ["2", "9"],
        "department_id_paths": ["1/2", "9"],
        "@known_department_paths": ["公司/研发", ""],
        "led_department_ids": ["9"],
    });
    for (source, expected) in [
        ("user.in_department('研发')", Ok(true)),
        (
            "user.in_department('9') && user.in_department('1')",
            Ok(true),
        ),
        ("user.in_department('7')", Ok(false)),
        ("user.in_department('外包')", unknown()),
        ("!user.in_department('外包')", unknown()),
        ("!(user.in_department('外包') || false)", unknown()),
        ("!(false || user.in_department('外包'))", unknown()),
        ("['外包', '9'].all(d, !user.in_department(d))", Ok(false)),
        ("['外包', '7'].all(d, !user.in_department(d))", unknown()),
        ("!['外包', '7'].exists(d, user.in_department(d))", unknown()),
        ("user.in_department('外包') ? false : true", unknown()),
        ("user.leads('外包')", unknown()),
        ("!user.leads('研发')", unknown()),
        ("user.leads('9')", Ok(true)),
        ("user.leads('2')", Ok(false)),
        ("user.in_department('')", Ok(false)),
    ] {
        assert_eq!(rule(&user, source), expected, "{source}");
    }
    for source in [
        "!('外包' in user.departments)",
        "!user.department_paths.exists(path, path.startsWith('外包'))",
        "user.departments.all(name, name != '外包')",
    ] {
        let result = rule(&user, source);
        assert!(
            matches!(result, Err(EvalError::Missing { .. })),
            "{source}: {result:?}"
        );
    }
    // Who leads nothing leads no department of any name.
    let user = json!({ "department_ids": ["9"], "@known_department_paths": [""] });
    assert_eq!(rule(&user, "user.leads('外包')"), Ok(false));
    let user = json!({ "department_ids": ["9"], "@known_department_paths": [] });
    assert_eq!(rule(&user, "user.in_department('外包')"), unknown());
}

#[test]
fn the_first_name_may_be_left_out_only_if_it_is_the_root() {
    let user = json!({
        "department_ids": ["6"],
        "department_id_paths": ["1/5/6"],
        "department_paths": ["销售/一部"],
        "led_department_ids": ["6"],
    });
    for (source, expected) in [
        ("user.in_department('销售')", Ok(true)),
        ("user.in_department('销售/一部')", Ok(true)),
        ("user.leads('销售/一部')", Ok(true)),
        ("user.in_department('一部')", Ok(false)),
        ("user.leads('一部')", Ok(false)),
        ("user.in_department('1')", Ok(true)),
        ("user.in_department('销售/二部')", Ok(false)),
        // Whether the hidden department above has this name is not known.
        ("user.in_department('甲公司/销售')", unknown()),
        ("!user.in_department('甲公司/销售/一部')", unknown()),
        ("user.leads('甲公司/销售/一部')", unknown()),
        ("user.leads('甲公司/销售')", Ok(false)),
        ("user.in_department('甲公司/财务')", Ok(false)),
    ] {
        assert_eq!(rule(&user, source), expected, "{source}");
    }
}

#[test]
fn an_id_with_its_connector_names_no_department_of_another() {
    let user = json!({
        "connector": "corp",
        "department_ids": ["5"],
        "department_id_paths": ["1/5"],
        "department_paths": ["公司/研发"],
        "led_department_ids": ["5"],
    });
    for (source, expected) in [
        ("user.in_department('5')", true),
        ("user.in_department('corp:5')", true),
        ("user.in_department('corp:1')", true),
        ("user.in_department('corp:6')", false),
        ("user.in_department('corp:研发')", false),
        ("user.in_department('partner:5')", false),
        ("user.in_department('corp:')", false),
        ("user.in_department(':5')", false),
        ("user.leads('corp:5')", true),
        ("user.leads('corp:1')", false),
        ("user.leads('partner:5')", false),
    ] {
        assert_eq!(rule(&user, source), Ok(expected), "{source}");
    }
    // A department whose name has a colon is found by its name, but not if that reads as an ID.
    let user = json!({
        "connector": "partner",
        "departments": ["corp:5", "a:b"],
        "department_paths": ["corp:5", "a:b"],
    });
    assert_eq!(rule(&user, "user.in_department('corp:5')"), Ok(false));
    assert_eq!(rule(&user, "user.in_department('a:b')"), Ok(true));
}
