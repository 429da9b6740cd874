use std::error::Error as _;

use super::*;

#[test]
fn text_can_be_lowered_trimmed_split_and_matched() {
    assert_eq!(evaluate("' ABC财 '.trim().lowerAscii()"), Ok(text("abc财")));
    assert_eq!(evaluate_rule("user.login.matches('^zhang[.]')"), Ok(true));
    assert_eq!(evaluate_rule("matches(user.login, '^li[.]')"), Ok(false));
    assert_eq!(
        evaluate_rule("user.departments.exists(d, d.matches('^财.部$'))"),
        Ok(true)
    );
    assert!(matches!(
        compile_error("user.login.matches('(')").kind,
        CompileErrorKind::Pattern(_)
    ));
    assert!(compile_error("user.login.matches('(')").source().is_some());
    assert!(matches!(
        compile_error("user.login.matches('(a{1000}){1000}')").kind,
        CompileErrorKind::Pattern(_)
    ));
    assert!(matches!(
        compile_error("user.login.matches(request.path)").kind,
        CompileErrorKind::ComputedPattern
    ));
}

#[test]
fn an_address_is_in_a_network_however_it_is_written() {
    for (source, expected) in [
        ("in_network(request.ip, '10.0.0.0/8')", true),
        ("in_network(request.ip, '192.168.0.0/16')", false),
        ("in_network('::ffff:10.9.9.9', '10.0.0.0/8')", true),
        ("in_network(request.ip, '::ffff:10.0.0.0/104')", true),
        ("in_network(request.ip, '::/0')", false),
        ("in_network(request.ip, '10.1.2.3')", true),
        ("in_network('2001:db8::1', '2001:db8::/32')", true),
        ("in_network('2001:db8::1', '10.0.0.0/8')", false),
        (
            "['172.16.0.0/12', '10.0.0.0/8'].exists(n, in_network(request.ip, n))",
            true,
        ),
    ] {
        assert_eq!(evaluate_rule(source), Ok(expected), "{source}");
    }
    assert!(matches!(
        compile_error("in_network(request.ip, '10.0.0.0/33')").kind,
        CompileErrorKind::Network { .. }
    ));
    assert!(matches!(
        evaluate_rule("in_network('unix:', '10.0.0.0/8')"),
        Err(EvalError::Failed { .. })
    ));
    assert!(matches!(
        evaluate_rule("in_network('10.0.0.1', 'x' + 'y')"),
        Err(EvalError::Failed { .. })
    ));
    assert!(matches!(
        evaluate_rule("in_network(user.level, '10.0.0.0/8')"),
        Err(EvalError::WrongType { .. })
    ));
}
