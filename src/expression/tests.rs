//! Tests of compiling and evaluating expressions.

mod budget;
mod departments;
mod digests;
mod functions;
mod names;
mod refused;

use std::borrow::Cow;

use serde_json::json;

use crate::wording::Text;

use super::{
    Budget, CompileError, CompileErrorKind, Document, EvalError, Expression, Field, Position,
    Record, SOURCE_BYTES_MAX, Scope, Value, Variable, Variables,
};

struct TestVariables {
    user: Option<Document>,
    profile: Option<Document>,
    request: Request,
}

struct Request {
    path: &'static str,
    ip: &'static str,
    headers: Headers,
}

struct Headers;

impl Variables for TestVariables {
    fn variable(&self, name: &str) -> Option<Variable<'_>> {
        match name {
            "user" => Some(
                self.user
                    .as_ref()
                    .map_or(Variable::Null, Variable::Document),
            ),
            "profile" => self.profile.as_ref().map(Variable::Document),
            "request" => Some(Variable::Record(&self.request)),
            "claims" => Some(Variable::Null),
            _ => None,
        }
    }
}

impl Record for Request {
    fn field(&self, name: &str) -> Option<Field<'_>> {
        Some(match name {
            "path" => Field::Text(Cow::Borrowed(self.path)),
            "ip" => Field::Text(Cow::Borrowed(self.ip)),
            "port" => Field::Int(443),
            "secure" => Field::Bool(true),
            "tls" => Field::Null,
            "headers" => Field::Record(&self.headers),
            _ => return None,
        })
    }
}

impl Record for Headers {
    fn field(&self, name: &str) -> Option<Field<'_>> {
        match name {
            "x-y" => Some(Field::Text(Cow::Owned("z".to_owned()))),
            _ => None,
        }
    }
}

/// `many` has one item more than a macro may iterate, and `some` as many as it may.
fn document() -> Document {
    Document::from(&json!({
        "login": "zhang.san",
        "departments": ["财务部", "总经办"],
        "groups": [],
        "level": 3,
        "huge": u64::MAX,
        "ratio": 0.5,
        "email": null,
        "many": (0..1001).collect::<Vec<_>>(),
        "some": (0..1000).collect::<Vec<_>>(),
        "extattr": {"attrs": [{"value": "a"}, {"value": "b"}, {"value": "工号7"}]},
    }))
}

fn variables() -> TestVariables {
    let request = Request {
        path: "/pay/list",
        ip: "10.1.2.3",
        headers: Headers,
    };
    TestVariables {
        user: Some(document()),
        profile: Some(document()),
        request,
    }
}

fn evaluate_rule(source: &str) -> Result<bool, EvalError> {
    Expression::compile(source, Scope::Rule)
        .unwrap()
        .evaluate_bool(&variables())
}

fn evaluate(source: &str) -> Result<Value, EvalError> {
    Expression::compile(source, Scope::Rule)
        .unwrap()
        .evaluate(&variables())
}

fn evaluate_mapping(source: &str) -> Result<Value, EvalError> {
    Expression::compile(source, Scope::Mapping)
        .unwrap()
        .evaluate(&variables())
}

fn compile_error(source: &str) -> CompileError {
    Expression::compile(source, Scope::Rule).unwrap_err()
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[test]
fn a_rule_reads_departments_and_logins() {
    let rule = "'财务部' in user.departments || user.login == 'boss'";
    assert_eq!(evaluate_rule(rule), Ok(true));
    assert_eq!(
        evaluate_rule("'人事部' in user.departments || user.login == 'boss'"),
        Ok(false)
    );
    assert_eq!(
        evaluate_rule("user.departments == ['财务部', '总经办']"),
        Ok(true)
    );
    assert_eq!(
        evaluate_rule("['财务部', '总经办'] == user.departments"),
        Ok(true)
    );
    assert_eq!(
        evaluate_rule("user.departments[0] < user.departments[1]"),
        Ok(false)
    );
    assert_eq!(
        evaluate_rule("user.departments.exists(d, d.startsWith('财'))"),
        Ok(true)
    );
    assert_eq!(
        evaluate_rule("user.departments.all(d, d.startsWith('财'))"),
        Ok(false)
    );
    assert_eq!(
        evaluate_rule("user.departments.exists_one(d, d.size() == 3 && d != '财务部')"),
        Ok(true)
    );
}

#[test]
fn a_rule_reads_computed_fields_of_a_request() {
    assert_eq!(evaluate_rule("request.path.startsWith('/pay')"), Ok(true));
    assert_eq!(evaluate_rule("request.path.startsWith('/hr')"), Ok(false));
    assert_eq!(evaluate_rule("request.headers['x-y'] == 'z'"), Ok(true));
    assert_eq!(evaluate_rule("'x-y' in request.headers"), Ok(true));
    assert_eq!(evaluate_rule("'x-z' in request.headers"), Ok(false));
    assert_eq!(evaluate_rule("has(request.headers.cookie)"), Ok(false));
    assert_eq!(
        evaluate_rule("request.port == 443 && request.secure && request.tls == null"),
        Ok(true)
    );
    assert_eq!(evaluate_rule("request['path'] == '/pay/list'"), Ok(true));
}

#[test]
fn a_missing_value_is_an_error_and_not_false() {
    for source in [
        "user.title == 'boss'",
        "user.title != 'boss'",
        "!('x' in user.titles)",
        "request.headers['x-z'] != 'z'",
        "request.verb == 'GET'",
        "user.departments[2] == 'x'",
        "user.email.domain == 'x'",
        "claims.scope == 'x'",
        "session.age < 5",
    ] {
        let result = evaluate_rule(source);
        assert!(
            matches!(result, Err(EvalError::Missing { .. })),
            "{source}: {result:?}"
        );
    }
    assert_eq!(
        evaluate_rule("user.title == 'boss' || user.login == 'zhang.san'"),
        Ok(true)
    );
    assert_eq!(
        evaluate_rule("has(user.title) && user.title == 'boss'"),
        Ok(false)
    );
    assert_eq!(
        evaluate("user.?title"),
        Err(EvalError::Missing {
            name: Text::fixed("an optional value", "可选的值")
        })
    );
    assert_eq!(evaluate("user.?title.orValue('-')"), Ok(text("-")));
}

#[test]
fn without_a_session_user_is_null() {
    let nobody = TestVariables {
        user: None,
        ..variables()
    };
    let rule = |source| {
        Expression::compile(source, Scope::Rule)
            .unwrap()
            .evaluate_bool(&nobody)
    };
    assert_eq!(rule("user == null"), Ok(true));
    assert_eq!(rule("user != null && user.login == 'boss'"), Ok(false));
    assert!(rule("user.login == 'boss'").is_err());
}

#[test]
fn a_rule_evaluates_to_a_bool_or_an_error() {
    for source in [
        "user.login",
        "1",
        "null",
        "user.departments",
        "user",
        "request",
    ] {
        let result = evaluate_rule(source);
        assert!(
            matches!(result, Err(EvalError::WrongType { .. })),
            "{source}: {result:?}"
        );
    }
    assert!(matches!(
        evaluate("request"),
        Err(EvalError::WrongType { .. })
    ));
    assert!(matches!(
        evaluate_rule("1 < 'a'"),
        Err(EvalError::WrongType { .. })
    ));
    assert!(matches!(
        evaluate_rule("1 / 0 == 1"),
        Err(EvalError::Failed { .. })
    ));
}

#[test]
fn an_operator_is_named_with_the_types_that_it_does_not_take() {
    for (source, en, zh) in [
        (
            "user.login > 1",
            "wrong type: `>` cannot be applied to a text and a whole number",
            "类型不对：`>` 不能用于文本和整数",
        ),
        (
            "user.email.endsWith('@corp.example')",
            "wrong type: `endsWith` cannot be applied to null and a text",
            "类型不对：`endsWith` 不能用于 null 和文本",
        ),
        (
            "user.level",
            "wrong type: the result is a whole number, not a bool",
            "类型不对：结果是整数，不是布尔值",
        ),
    ] {
        let error = evaluate_rule(source).unwrap_err();
        assert_eq!(error.to_string(), en, "{source}");
        assert_eq!(format!("{error:#}"), zh, "{source}");
    }
}

#[test]
fn a_field_without_a_value_is_found_by_its_name_in_the_source() {
    let null_field = |source| {
        let rule = Expression::compile(source, Scope::Rule).unwrap();
        rule.null_field("user", &document()).map(str::to_owned)
    };
    let rule = "user.login == 'a' || user.email.endsWith('@corp.example')";
    assert_eq!(null_field(rule).as_deref(), Some("user.email"));
    for source in [
        "user.login > 1",
        "user.title == 'a'",
        "session.email == 'a'",
    ] {
        assert_eq!(null_field(source), None, "{source}");
    }
}

#[test]
fn a_mapping_reads_nested_values_of_a_profile() {
    assert_eq!(
        evaluate_mapping("profile.extattr.attrs[2].value"),
        Ok(text("工号7"))
    );
    assert!(matches!(
        evaluate_mapping("profile.extattr.attrs[3].value"),
        Err(EvalError::Missing { .. })
    ));
    assert!(matches!(
        evaluate_mapping("profile.extattr.nothing.value"),
        Err(EvalError::Missing { .. })
    ));
    assert_eq!(evaluate_mapping("profile.email"), Ok(Value::Null));
    assert_eq!(
        evaluate_mapping("profile.login.split('.')"),
        Ok(Value::List(vec![text("zhang"), text("san")]))
    );
    assert_eq!(
        evaluate_mapping("has(profile.mobile) ? profile.mobile : 'none'"),
        Ok(text("none"))
    );
    let attributes = "profile.extattr.attrs.filter(a, a.value != 'a').map(a, a.value)";
    assert_eq!(
        evaluate_mapping(attributes),
        Ok(Value::List(vec![text("b"), text("工号7")]))
    );
    assert_eq!(
        evaluate_mapping("{'a': profile.ratio}"),
        Ok(Value::Map([("a".into(), Value::Float(0.5))].into()))
    );
}

#[test]
fn whole_numbers_of_json_are_ints_if_they_fit_and_text_otherwise() {
    assert_eq!(evaluate("user.level + 1"), Ok(Value::Int(4)));
    assert_eq!(evaluate("-user.level"), Ok(Value::Int(-3)));
    assert_eq!(evaluate("user.huge"), Ok(text("18446744073709551615")));
    assert_eq!(evaluate("9223372036854775808u").ok(), None);
}

#[test]
fn debug_and_errors_show_the_source_and_no_data() {
    let expression = Expression::compile("user.login", Scope::Rule).unwrap();
    assert_eq!(format!("{expression:?}"), "Expression(\"user.login\")");
    assert_eq!(expression.source(), "user.login");
    assert_eq!(format!("{:?}", document()), "Document(..)");
    for source in [
        "user[user.login] == 1",
        "int(user.login) == 1",
        "user.login + 1 == ''",
        "user.login < 1",
        "in_network(user.login, '10.0.0.0/8')",
        "user.departments[user.login] == ''",
        "user.login",
    ] {
        let error = evaluate_rule(source).unwrap_err();
        assert!(
            !format!("{error} {error:?}").contains("zhang"),
            "{source}: {error:?}"
        );
    }
}

#[test]
fn expressions_are_equal_if_source_and_scope_are_equal() {
    let compile = |source, scope| Expression::compile(source, scope).unwrap();
    assert_eq!(compile("1", Scope::Rule), compile("1", Scope::Rule));
    assert_ne!(compile("1", Scope::Rule), compile("2", Scope::Rule));
    assert_ne!(compile("1", Scope::Rule), compile("1", Scope::Mapping));
}

proptest::proptest! {
    #[test]
    fn no_source_breaks_the_compiler(source in "[a-z0-9 .,:?!()\\[\\]{}'\"<>=&|+*/\\\\财-]{0,60}") {
        let _ = Expression::compile(&source, Scope::Rule);
    }
}
