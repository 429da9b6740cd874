//! The variables and fields that an expression reads.

use super::*;

#[test]
fn an_expression_knows_which_fields_it_reads() {
    let reads = |source: &str, path: &str| {
        Expression::compile(source, Scope::Rule)
            .unwrap()
            .reads(path)
    };
    assert!(reads("request.path == '/'", "request.path"));
    assert!(reads("request.path == '/'", "request"));
    assert!(!reads("request.path == '/'", "request.method"));
    assert!(!reads("request.paths == '/'", "request.path"));
    assert!(reads("request.headers['x'] == ''", "request.headers"));
    assert!(!reads("request.headers['x'] == ''", "request.path"));
    assert!(reads("has(request.path)", "request.path"));
    assert!(reads("request['path'] == '/'", "request.path"));
    assert!(reads("request[user.field] == '/'", "request.path"));
    assert!(reads("request.?path.orValue('') == '/'", "request.path"));
    assert!(reads("[request].exists(r, r.path == '/')", "request.path"));
    assert!(reads(
        "user.groups.exists(g, request.path == g)",
        "request.path"
    ));
    assert!(!reads(
        "user.groups.exists(path, path == 'request.path')",
        "request.path"
    ));
    assert!(!reads(
        "in_network(request.ip, '10.0.0.0/8')",
        "request.path"
    ));
}

#[test]
fn the_values_that_a_rule_reads_can_be_listed_and_evaluated() {
    let rule = "'总经办' in user.departments && user != null && has(user.email) \
                && request.headers['x-y'] == 'z' && user.extattr[\"attrs\"].exists(a, a.value == user.login) \
                && request.headers[user.login] == '' && user.departments.size() > 0";
    let rule = Expression::compile(rule, Scope::Rule).unwrap();
    let named = rule.named_values();
    let names: Vec<_> = named.iter().map(Expression::source).collect();
    assert_eq!(
        names,
        [
            "user.departments",
            "user",
            "user.email",
            "request.headers[\"x-y\"]",
            "user.extattr[\"attrs\"]",
            "user.login",
            "request.headers",
        ]
    );
    assert_eq!(named[3].evaluate(&variables()), Ok(text("z")));
    assert_eq!(
        named[0].evaluate(&variables()),
        Ok(Value::List(vec![text("财务部"), text("总经办")]))
    );
}
