//! Sources that are refused, and the limits of depth and macros.

use super::*;

#[test]
fn only_the_variables_of_the_scope_may_be_read() {
    let error = refused("'财务部' in usr.departments");
    assert_eq!(
        error.message(),
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
    assert!(refused("profile.userid").message().contains("`profile`"));
    assert!(Expression::compile("user.login", Scope::Mapping).is_err());
    assert!(Expression::compile("profile.userid", Scope::Mapping).is_ok());
    assert!(matches!(
        refused("[1].all(user, user == 1)").kind,
        CompileErrorKind::Shadowed { .. }
    ));
    assert!(matches!(
        refused("[1].all(x, x == 1) && x").kind,
        CompileErrorKind::UnknownVariable { .. }
    ));
    assert!(matches!(
        refused(".user.login == 'a'").kind,
        CompileErrorKind::UnknownVariable { .. }
    ));
}

#[test]
fn unknown_functions_are_refused_with_their_arity() {
    let error = refused("user.login.toUpper()");
    assert_eq!(
        error.message(),
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
        refused("Name{a: 1}").kind,
        CompileErrorKind::Message
    ));
}

#[test]
fn a_syntax_error_has_a_position() {
    let error = refused("user.login ==\n  财 && true");
    assert_eq!(
        error.position,
        Some(Position {
            offset: 16,
            line: 2,
            column: 3
        })
    );
    assert!(error.to_string().ends_with("(line 2, column 3)"));
    let error = refused("'财' ==");
    assert_eq!(
        error.position,
        Some(Position {
            offset: 8,
            line: 1,
            column: 7
        })
    );
    assert!(matches!(refused("").kind, CompileErrorKind::Syntax { .. }));
}

#[test]
fn a_source_is_accepted_up_to_the_longest_length() {
    let padded = |length: usize| format!("{:<length$}", "user.login");
    assert!(Expression::compile(&padded(SOURCE_BYTES_MAX), Scope::Rule).is_ok());
    let error = refused(&padded(SOURCE_BYTES_MAX + 1));
    assert!(matches!(error.kind, CompileErrorKind::TooLong { .. }));
}

#[test]
fn deep_sources_are_refused_without_a_stack_overflow() {
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
    assert_eq!(test(&allowed), Ok(true));
    assert_eq!(test(&vec!["user.login == 'x'"; 200].join("||")), Ok(false));
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
    let three_quarters = std::thread::Builder::new().stack_size(3 << 19);
    let answers = three_quarters.spawn(evaluate).unwrap().join().unwrap();
    assert_eq!(answers[0], Ok(true));
    assert_eq!(answers.len(), 4);
}

#[test]
fn macros_are_limited_in_levels_number_and_items() {
    let two = "[1].exists(a, [2].exists(b, a + b == 3))";
    assert_eq!(test(two), Ok(true));
    let three = "[1].exists(a, [2].exists(b, [3].exists(c, a + b == c)))";
    assert!(matches!(
        refused(three).kind,
        CompileErrorKind::MacrosTooDeep { .. }
    ));
    let chained = |count| format!("[true]{}[0]", ".map(x, x)".repeat(count));
    assert_eq!(test(&chained(8)), Ok(true));
    let beside = |count| vec!["[1].all(x, x == 1)"; count].join("&&");
    assert_eq!(test(&beside(16)), Ok(true));
    assert!(matches!(
        refused(&beside(17)).kind,
        CompileErrorKind::TooManyMacros { .. }
    ));

    assert_eq!(test("user.some.exists(x, x == 999)"), Ok(true));
    assert!(matches!(
        test("user.many.exists(x, x == 0)"),
        Err(EvalError::Failed { .. })
    ));
    let inner = "[1].exists(x, user.some.exists(y, y == x))";
    assert!(matches!(test(inner), Err(EvalError::Failed { .. })));
    assert_eq!(test("1000 in user.many"), Ok(true));
}
