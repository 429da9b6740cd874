//! The functions of expressions: those of CEL, string functions, `in_network`, `in_department`, `leads`, and
//! `matches` with a precompiled pattern.

use std::any::Any;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use cel::common::types::{
    CelBool, CelInt, CelString, DYN_TYPE, INT_TYPE, MAP_TYPE, STRING_TYPE, Type,
};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::{Env, ExecutionError, extensions};
use ipnet::{IpNet, Ipv4Net};

use super::{Scope, budget, department, digest};

/// The maximum number of items of the list that a macro iterates.
pub const OUTER_ITEMS_MAX: usize = 1000;
/// The maximum for a macro inside another macro.
pub const INNER_ITEMS_MAX: usize = 100;

/// The internal function that limits the list of an outer macro. Its second argument is the number of
/// nodes that are evaluated for each item.
pub(super) const OUTER_RANGE: &str = "@outer_range";
/// The same for a macro inside another macro.
pub(super) const INNER_RANGE: &str = "@inner_range";

/// The environment of all evaluations, one per thread.
pub(super) fn environment() -> Arc<Env> {
    // Every evaluation clones the Arc; with a single one all cores would contend for its counter.
    thread_local!(static ENVIRONMENT: Arc<Env> = Arc::new(build()));
    ENVIRONMENT.with(Arc::clone)
}

/// Whether the function exists in a scope with this number of arguments; the target of a method is not
/// counted.
pub(super) fn is_known(name: &str, is_method: bool, arguments: usize, scope: Scope) -> bool {
    let signatures = if is_method { METHODS } else { FUNCTIONS };
    let of_source_calls = match is_method {
        false if scope.has_source_functions() => digest::FUNCTIONS,
        _ => &[],
    };
    let mut signatures = signatures.iter().chain(of_source_calls);
    signatures.any(|(known, arity)| *known == name && arity.contains(&arguments))
}

/// A literal argument that was parsed when the expression was compiled.
#[derive(Debug)]
pub(super) enum Constant {
    /// The second argument of `matches`.
    Pattern(regex::Regex),
    /// The second argument of `in_network`.
    Network(IpNet),
}

impl Constant {
    /// Compiles a pattern of bounded size.
    pub(super) fn pattern(text: &str) -> Result<Self, regex::Error> {
        let pattern = regex::RegexBuilder::new(text)
            .size_limit(PATTERN_BYTES_MAX)
            .build();
        pattern.map(Self::Pattern)
    }

    /// Parses a network such as `10.0.0.0/8`, or an address.
    pub(super) fn network(text: &str) -> Result<Self, ipnet::AddrParseError> {
        network(text).map(Self::Network)
    }
}

/// The name of a function and how many arguments it takes.
pub(super) type Signature = (&'static str, RangeInclusive<usize>);

/// The most memory of a compiled pattern.
const PATTERN_BYTES_MAX: usize = 1 << 20;

const FUNCTIONS: &[Signature] = &[
    ("bool", 1..=1),
    ("double", 1..=1),
    ("in_network", 2..=2),
    ("int", 1..=1),
    ("matches", 2..=2),
    ("size", 1..=1),
    ("string", 1..=1),
    ("type", 1..=1),
];

const METHODS: &[Signature] = &[
    ("contains", 1..=1),
    ("endsWith", 1..=1),
    ("hasValue", 0..=0),
    ("in_department", 1..=1),
    ("indexOf", 1..=1),
    ("join", 0..=1),
    ("leads", 1..=1),
    ("lowerAscii", 0..=0),
    ("matches", 1..=1),
    ("or", 1..=1),
    ("orValue", 1..=1),
    ("size", 0..=0),
    ("split", 1..=2),
    ("startsWith", 1..=1),
    ("substring", 1..=2),
    ("trim", 0..=0),
    ("upperAscii", 0..=0),
    ("value", 0..=0),
];

static PATTERN_TYPE: Type = pattern_type();
static NETWORK_TYPE: Type = network_type();

const fn pattern_type() -> Type {
    Type::new_unspecified_type("pattern")
}

const fn network_type() -> Type {
    Type::new_unspecified_type("network")
}

fn build() -> Env {
    let mut env = Env::stdlib();
    let text_and_pattern = vec![STRING_TYPE, pattern_type()];
    let text_and_network = vec![STRING_TYPE, network_type()];
    env.add_extension(extensions::strings)
        .and_then(|()| env.add_overload("matches", "matches_pattern", text_and_pattern, matches))
        .and_then(|()| {
            let pattern = vec![pattern_type()];
            env.add_member_overload("matches", "text_matches", STRING_TYPE, pattern, matches)
        })
        .and_then(|()| env.add_overload("in_network", "in_network", text_and_network, in_network))
        .and_then(|()| {
            let two_texts = vec![STRING_TYPE, STRING_TYPE];
            env.add_overload("in_network", "in_network_text", two_texts, in_network)
        })
        .and_then(|()| {
            let (name, function) = ("in_department", department::in_department);
            env.add_member_overload(name, name, MAP_TYPE, vec![STRING_TYPE], function)
        })
        .and_then(|()| {
            let (name, function) = ("leads", department::leads);
            env.add_member_overload(name, name, MAP_TYPE, vec![STRING_TYPE], function)
        })
        .and_then(|()| {
            env.add_overload(
                OUTER_RANGE,
                OUTER_RANGE,
                vec![DYN_TYPE, INT_TYPE],
                outer_range,
            )
        })
        .and_then(|()| {
            env.add_overload(
                INNER_RANGE,
                INNER_RANGE,
                vec![DYN_TYPE, INT_TYPE],
                inner_range,
            )
        })
        .and_then(|()| digest::declare(&mut env))
        .expect("each overload is declared once and differs from the standard ones");
    env
}

pub(super) type CallResult<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

fn matches<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> CallResult<'b, 'v> {
    if let [text, pattern] = arguments.as_slice()
        && let Some(text) = text.downcast_ref::<CelString>()
        && let Some(Constant::Pattern(pattern)) = pattern.downcast_ref::<Constant>()
    {
        return match budget::charge_match(text.inner()) {
            true => Ok(CowVal::owned(CelBool::from(pattern.is_match(text.inner())))),
            false => Err(ExecutionError::function_error("matches", "too much work")),
        };
    }
    Err(ExecutionError::function_error(
        "matches",
        "not a text and a pattern",
    ))
}

fn in_network<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> CallResult<'b, 'v> {
    let failed = |why| ExecutionError::function_error("in_network", why);
    let [address, range] = arguments.as_slice() else {
        return Err(failed("not an address and a network"));
    };
    let address = address
        .downcast_ref::<CelString>()
        .and_then(|text| text.inner().parse().ok());
    let address: IpAddr = address.ok_or_else(|| failed("not an address"))?;
    let range = match range.downcast_ref::<Constant>() {
        Some(Constant::Network(range)) => Some(*range),
        _ => range
            .downcast_ref::<CelString>()
            .and_then(|text| network(text.inner()).ok()),
    };
    let range = range.ok_or_else(|| failed("not a network"))?;
    Ok(CowVal::owned(CelBool::from(
        range.contains(&address.to_canonical()),
    )))
}

/// Parses a network. A network of IPv4-mapped IPv6 addresses becomes an IPv4 network.
fn network(text: &str) -> Result<IpNet, ipnet::AddrParseError> {
    let parsed = text.parse().or_else(|error| match text.parse::<IpAddr>() {
        Ok(address) => Ok(IpNet::from(address)),
        Err(_) => Err(error),
    })?;
    let mapped = match parsed {
        IpNet::V6(v6) => v6
            .addr()
            .to_ipv4_mapped()
            .zip(v6.prefix_len().checked_sub(96)),
        IpNet::V4(_) => None,
    };
    let v4 = mapped.and_then(|(address, bits)| Ipv4Net::new(address, bits).ok());
    Ok(v4.map_or(parsed, IpNet::V4))
}

fn outer_range<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> CallResult<'b, 'v> {
    limited_range(arguments, OUTER_ITEMS_MAX)
}

fn inner_range<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> CallResult<'b, 'v> {
    limited_range(arguments, INNER_ITEMS_MAX)
}

fn limited_range<'b, 'v>(
    mut arguments: Vec<CowVal<'b, 'v>>,
    items_max: usize,
) -> CallResult<'b, 'v> {
    let failed = |why| ExecutionError::function_error("iterating a list", why);
    let nodes = arguments.pop();
    let nodes = nodes.and_then(|nodes| nodes.downcast_ref::<CelInt>().map(|nodes| *nodes.inner()));
    let (Some(range), Some(nodes)) = (arguments.pop(), nodes) else {
        return Err(failed("nothing to iterate"));
    };
    let items = range.as_sizer().map(|sizer| *sizer.size().inner());
    match items.map(usize::try_from) {
        Some(Ok(items)) if items > items_max => Err(failed("too many items")),
        Some(Ok(items)) if !budget::charge_items(items, nodes) => Err(failed("too much work")),
        _ => Ok(range),
    }
}

impl Val for Constant {
    fn get_type(&self) -> &Type {
        match self {
            Self::Pattern(_) => &PATTERN_TYPE,
            Self::Network(_) => &NETWORK_TYPE,
        }
    }

    fn cel_type() -> &'static Type {
        unreachable!("the engine asks this of types named in its overload macros only")
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(match self {
            Self::Pattern(pattern) => Self::Pattern(pattern.clone()),
            Self::Network(network) => Self::Network(*network),
        })
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Constant {}
