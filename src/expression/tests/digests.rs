//! Tests of the functions that requests to a source need.

use serde_json::json;

use super::super::{
    Budget, CompileErrorKind, Document, EvalError, Expression, Scope, Value, Variable, Variables,
};

struct LoginVariables {
    params: Document,
    budget: Budget,
}

impl Variables for LoginVariables {
    fn variable(&self, name: &str) -> Option<Variable<'_>> {
        match name {
            "code" => Some(Variable::Text("财务")),
            "now" => Some(Variable::Moment(1_700_000_000_999)),
            "params" => Some(Variable::Document(&self.params)),
            _ => None,
        }
    }

    fn budget(&self) -> Option<&Budget> {
        Some(&self.budget)
    }
}

fn evaluate(source: &str) -> Result<Value, EvalError> {
    let expression = Expression::compile(source, Scope::SourceCall);
    let expression = expression.unwrap_or_else(|error| panic!("{source}: {error}"));
    let params = json!({ "long": "x".repeat(1 << 20), "number": 7 });
    expression.evaluate(&LoginVariables {
        params: Document::from(&params),
        budget: Budget::default(),
    })
}

#[test]
fn digests_are_those_of_their_standards() {
    for (source, expected) in [
        ("md5('')", "d41d8cd98f00b204e9800998ecf8427e"),
        ("md5('abc')", "900150983cd24fb0d6963f7d28e17f72"),
        ("sha1('abc')", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (
            "sha256('abc')",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ),
        (
            "hmac_sha256('Jefe', 'what do ya want for nothing?')",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        ("base64('foobar')", "Zm9vYmFy"),
        ("base64(code)", "6LSi5Yqh"),
        (
            "string(unix(now)) + '.' + string(unix_ms(now))",
            "1700000000.1700000000999",
        ),
    ] {
        assert_eq!(
            evaluate(source),
            Ok(Value::Text(expected.to_owned())),
            "{source}"
        );
    }
    assert_eq!(evaluate("unix(now)"), Ok(Value::Int(1_700_000_000)));
}

#[test]
fn other_types_and_the_time_itself_are_no_values() {
    for source in [
        "md5(params.number)",
        "unix(params.number)",
        "hmac_sha256(code, now)",
        "now",
    ] {
        assert!(
            matches!(evaluate(source), Err(EvalError::WrongType { .. })),
            "{source}: {:?}",
            evaluate(source)
        );
    }
}

#[test]
fn hashing_long_texts_spends_the_budget() {
    assert!(evaluate("sha256(params.long)").is_ok());
    let often = "[1, 2, 3, 4, 5].map(i, sha256(params.long + string(i)))";
    assert_eq!(evaluate(often), Err(EvalError::BudgetExceeded));
}

#[test]
fn rules_and_mappings_have_no_such_functions() {
    for scope in [Scope::Rule, Scope::Mapping] {
        let error = Expression::compile("md5('a')", scope).unwrap_err();
        assert!(matches!(
            error.kind,
            CompileErrorKind::UnknownFunction { .. }
        ));
    }
}

#[test]
fn an_expression_knows_what_it_reads_and_calls() {
    let compile = |source| Expression::compile(source, Scope::SourceAnswer).unwrap();
    let expression = compile("md5(steps.token.id + steps.token.key + steps['user'].x + code)");
    let fields: Vec<_> = expression.fields_of("steps").collect();
    assert_eq!(fields, ["token", "token"]);
    assert!(expression.calls("md5") && !expression.calls("sha1"));
    assert!(expression.reads("code") && !expression.reads("params"));
}
