//! Sources that are refused, and the limits of depth and macros.

use super::*;

#[test]
fn only_the_variables_of_the_scope_may_be_read() {
    let error = compile_error("'财务部' in usr.departments");
    assert_eq!(
        error.message().to_string(),
        "unknown variable `usr`, known here: user, request, session, claims"
    );
    assert_eq!(
        error.position,
        Some(Position {
            offset: 15,
            line: 1,
            column: 10
        })
    );
    assert!(
        compile_error("profile.userid")
            .message()
            .to_string()
            .contains("`profile`")
    );
    assert!(Expression::compile("user.login", Scope::Mapping).is_err());
    assert!(Expression::compile("profile.userid", Scope::Mapping).is_ok());
    assert!(matches!(
        compile_error("[1].all(user, user == 1)").kind,
        CompileErrorKind::Shadowed { .. }
    ));
    assert!(matches!(
        compile_error("[1].all(x, x == 1) && x").kind,
        CompileErrorKind::UnknownVariable { .. }
    ));
    assert!(matches!(
        compile_error(".user.login == 'a'").kind,
        CompileErrorKind::UnknownVariable { .. }
    ));
}

#[test]
fn unknown_functions_are_refused_with_their_arity() {
    let error = compile_error("user.login.toUpper()");
    assert_eq!(
        error.message().to_string(),
        "unknown function `.toUpper` with 0 arguments"
    );
    for source in [
        "startsWith('a')",
        "'a'.startsWith()",
        "user.groups.all(g)",
        "size()",
        "uint(1) == 1u",
        "optional.of(1)",
        "request.in_network('10.0.0.0/8')",
    ] {
        assert!(
            Expression::compile(source, Scope::Rule).is_err(),
            "{source}"
        );
    }
    assert!(matches!(
        compile_error("Name{a: 1}").kind,
        CompileErrorKind::Message
    ));
}

#[test]
fn a_syntax_error_has_a_position() {
    let error = compile_error("user.login ==\n  财 && true");
    assert_eq!(
        error.position,
        Some(Position {
            offset: 16,
            line: 2,
            column: 3
        })
    );
    assert!(error.to_string().ends_with("(line 2, column 3)"));
    let error = compile_error("'财' ==");
    assert_eq!(
        error.position,
        Some(Position {
            offset: 8,
            line: 1,
            column: 7
        })
    );
    assert!(matches!(
        compile_error("").kind,
        CompileErrorKind::Syntax { .. }
    ));
}

#[test]
fn a_source_is_accepted_up_to_the_longest_length() {
    let padded = |length: usize| format!("{:<length$}", "user.login");
    assert!(Expression::compile(&padded(SOURCE_BYTES_MAX), Scope::Rule).is_ok());
    let error = compile_error(&padded(SOURCE_BYTES_MAX + 1));
    assert!(matches!(error.kind, CompileErrorKind::TooLong { .. }));
}

#[test]
fn deep_sources_are_refused_without_a_stack_overflow() {
    // Repeats `unit` up to the longest source.
    let fill = |unit: &str, end: &str| {
        let count = (SOURCE_BYTES_MAX - end.len()) / unit.len();
        format!("{}{end}", unit.repeat(count))
    };
    for source in [
        format!("{}1{}", "(".repeat(2000), ")".repeat(2000)),
        fill("(", ""),
        fill("[", ""),
        fill("{1:", ""),
        fill("1+", "1"),
        fill("1<", "1"),
        fill("!", "x"),
        fill("true?1:", "1"),
        fill("true?", "1"),
        fill("'('+", "''"),
        format!("user{}", fill(".a", "")),
        format!("user{}", ".a".repeat(2000)),
        format!("user{}", "[0]".repeat(1300)),
        format!("user{}", ".trim()".repeat(500)),
        fill("r'\\'(", ""),
        fill("'''(", ""),
        fill("size(", ""),
    ] {
        let error = Expression::compile(&source, Scope::Rule).unwrap_err();
        assert!(!error.message().is_empty(), "{}", &source[..9]);
    }
    // The parser merges repeated minus signs.
    assert!(Expression::compile(&fill("- ", "1"), Scope::Rule).is_ok());
    let allowed = format!("{}true{}", "(".repeat(24), ")".repeat(24));
    assert_eq!(evaluate_rule(&allowed), Ok(true));
    assert_eq!(
        evaluate_rule(&vec!["user.login == 'x'"; 200].join("||")),
        Ok(false)
    );
}

#[test]
fn the_deepest_expressions_fit_into_the_stack_of_a_worker_thread() {
    let deepest = [
        format!("1{} == 23", "+1".repeat(22)),
        format!("{}true{} == null", "[".repeat(22), "]".repeat(22)),
        format!("{}[0] == null", "user.some".to_owned() + &"[0]".repeat(20)),
        "user.some.exists(a, [1].exists(b, [a + b].size() == 1 && -(-(a)) == a))".to_owned(),
    ];
    let compile = |source: &String| Expression::compile(source, Scope::Rule).unwrap();
    let deepest: Vec<_> = deepest.iter().map(compile).collect();
    let evaluate = move || {
        deepest
            .iter()
            .map(|rule| rule.evaluate_bool(&variables()))
            .collect::<Vec<_>>()
    };
    // Three quarters of the stack of a worker thread, which has 2 MiB.
    let smaller_thread = std::thread::Builder::new().stack_size(3 << 19);
    let results = smaller_thread.spawn(evaluate).unwrap().join().unwrap();
    assert_eq!(results[0], Ok(true));
    // The others may fail, but do not overflow the stack.
    assert_eq!(results.len(), 4);
}

#[test]
fn macros_are_limited_in_levels_number_and_items() {
    let two = "[1].exists(a, [2].exists(b, a + b == 3))";
    assert_eq!(evaluate_rule(two), Ok(true));
    let three = "[1].exists(a, [2].exists(b, [3].exists(c, a + b == c)))";
    assert!(matches!(
        compile_error(three).kind,
        CompileErrorKind::MacrosTooDeep { .. }
    ));
    let chained = |count| format!("[true]{}[0]", ".map(x, x)".repeat(count));
    assert_eq!(evaluate_rule(&chained(8)), Ok(true));
    let side_by_side = |count| vec!["[1].all(x, x == 1)"; count].join("&&");
    assert_eq!(evaluate_rule(&side_by_side(16)), Ok(true));
    assert!(matches!(
        compile_error(&side_by_side(17)).kind,
        CompileErrorKind::TooManyMacros { .. }
    ));

    assert_eq!(evaluate_rule("user.some.exists(x, x == 999)"), Ok(true));
    assert!(matches!(
        evaluate_rule("user.many.exists(x, x == 0)"),
        Err(EvalError::Failed { .. })
    ));
    let inner = "[1].exists(x, user.some.exists(y, y == x))";
    assert!(matches!(
        evaluate_rule(inner),
        Err(EvalError::Failed { .. })
    ));
    assert_eq!(evaluate_rule("1000 in user.many"), Ok(true));
}
