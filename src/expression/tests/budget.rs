//! The budget that the evaluations of one request share.

use super::*;

/// Variables whose evaluations share one budget.
struct Limited {
    path: String,
    budget: Budget,
}

impl Variables for Limited {
    fn variable(&self, name: &str) -> Option<Variable<'_>> {
        (name == "request").then_some(Variable::Record(self))
    }

    fn budget(&self) -> Option<&Budget> {
        Some(&self.budget)
    }
}

impl Record for Limited {
    fn field(&self, name: &str) -> Option<Field<'_>> {
        (name == "path").then_some(Field::Text(Cow::Borrowed(&self.path)))
    }
}

/// How often an expression over this path can be evaluated within the budget, at most 9,999 times.
fn evaluations_within_budget(source: &str, path: &str) -> usize {
    let variables = Limited {
        path: path.to_owned(),
        budget: Budget::default(),
    };
    let expression = Expression::compile(source, Scope::Rule).unwrap();
    let evaluated = (0..10_000).map(|_| expression.evaluate(&variables));
    let mut outcomes = evaluated.skip_while(Result::is_ok);
    if let Some(outcome) = outcomes.next() {
        assert_eq!(outcome, Err(EvalError::BudgetExceeded), "{source}");
        assert!(variables.budget.is_spent());
        // A spent budget refuses every further evaluation.
        let other = Expression::compile("true || request.path == ''", Scope::Rule).unwrap();
        assert_eq!(other.evaluate(&variables), Err(EvalError::BudgetExceeded));
        variables.budget.reset();
        assert_eq!(other.evaluate(&variables), Ok(Value::Bool(true)));
    }
    10_000 - 1 - outcomes.count()
}

#[test]
fn evaluations_of_one_request_share_a_limited_budget() {
    let long = "x,".repeat(30_000);
    let (list_of_900, list_of_99) = ("x,".repeat(900), "x,".repeat(99));
    let compare_items = "request.path.split(',').exists(i, i == request.path)";
    // The counts follow from the steps: one for each node, and one for 64 bytes read or 16 bytes matched.
    for (source, path, least, most) in [
        ("request.path == '/'", "/", 9_999, 9_999),
        ("request.path.startsWith('/a')", long.as_str(), 100, 300),
        ("request.path.matches('^(a|b)*$')", long.as_str(), 30, 70),
        (compare_items, "/", 5_000, 9_999),
        (compare_items, list_of_900.as_str(), 3, 12),
        // `true ||` does not hide that the other operand exceeds the budget.
        (
            "true || request.path.split(',').exists(i, i == request.path)",
            list_of_900.as_str(),
            9_999,
            9_999,
        ),
        (
            "request.path.split(',').all(i, request.path.split(',').exists(j, i + 'y' == j))",
            list_of_99.as_str(),
            1,
            400,
        ),
    ] {
        let found = evaluations_within_budget(source, path);
        assert!((least..=most).contains(&found), "{source}: {found}");
    }
}
