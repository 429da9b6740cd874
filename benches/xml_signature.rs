//! Measures what it takes to read a signed SAML response and to verify its signature.
//!
//! `cargo bench --bench xml_signature [-- --rounds N]` prints a table. The target: 5 ms for 256 KiB.

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use menshen::keys;
use menshen::login::connector::kit::xml::{Element, XmlLimits};
use menshen::login::connector::kit::xml_signature::{
    PrivateKey, SignaturePolicy, VerifyingKey, sign_enveloped, verify,
};
use menshen::secret::Secret;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome<T> = Result<T, Box<dyn Error>>;

const TARGET: Duration = Duration::from_millis(5);
/// The size of a response, which is also the largest that a service provider takes.
const RESPONSE_BYTES: usize = 256 << 10;

/// The most elements in a response. 10,000 are enough for the groups of anybody.
const ELEMENTS_MAX: usize = 10_000;

const LIMITS: XmlLimits = XmlLimits {
    bytes: 2 * RESPONSE_BYTES,
    elements: ELEMENTS_MAX,
    depth: 64,
    attributes: 64,
};
const POLICY: SignaturePolicy = SignaturePolicy {
    allow_sha1: false,
    canonical_bytes_max: 8 * RESPONSE_BYTES,
};

/// The source, with its keys.
struct Source {
    key: PrivateKey,
    certificate: Vec<u8>,
}

fn main() -> Outcome<()> {
    keys::install_crypto();
    let rounds = rounds()?;
    let source = Source::new()?;
    println!(
        "{:<44} {:>9} {:>9} {:>9}",
        "256 KiB", "read", "verify", "both"
    );
    for (name, content) in contents() {
        let (read, verified) = source.measure(&content, rounds)?;
        let both = read + verified;
        let verdict = if both <= TARGET {
            ""
        } else {
            "  over the target of 5 ms"
        };
        println!("{name:<30} {read:>9.2?} {verified:>9.2?} {both:>9.2?}{verdict}");
    }
    Ok(())
}

fn rounds() -> Outcome<usize> {
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--rounds" {
            let rounds = arguments.next().ok_or("--rounds needs a number")?;
            return Ok(rounds.parse()?);
        }
    }
    Ok(50)
}

/// What fills an assertion: the usual case, and those that cost most for their size.
fn contents() -> [(&'static str, String); 4] {
    let value = "<saml:AttributeValue xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
                 xsi:type=\"xs:string\">CN=Department 17,OU=Groups,DC=corp,DC=example</saml:AttributeValue>";
    let element = "<saml:a/>";
    let declared = "<p:a xmlns:p=\"urn:p\" xmlns:q=\"urn:q\" q:b=\"1\" c=\"2\"/>";
    let fill = |piece: &str| piece.repeat(RESPONSE_BYTES / piece.len());
    let most = |piece: &str| piece.repeat((RESPONSE_BYTES / piece.len()).min(ELEMENTS_MAX - 100));
    [
        ("attribute values", fill(value)),
        ("one long text", fill("x &amp; 张三 ")),
        ("10,000 small elements", most(element)),
        ("elements with declarations", most(declared)),
    ]
}

impl Source {
    fn new() -> Outcome<Self> {
        let key =
            rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048)?;
        let certificate = rcgen::CertificateParams::new(vec!["idp.example".to_owned()])?;
        Ok(Self {
            certificate: certificate.self_signed(&key)?.der().to_vec(),
            key: PrivateKey::from_pem(&Secret::new(key.serialize_pem()))?,
        })
    }

    /// The median times to read a response and to verify its assertion.
    fn measure(&self, content: &str, rounds: usize) -> Outcome<(Duration, Duration)> {
        let response = format!(
            "<samlp:Response xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" \
             xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"_r\"><saml:Assertion ID=\"_a\">\
             <saml:Issuer>https://idp.example</saml:Issuer>{content}</saml:Assertion></samlp:Response>"
        );
        let response = sign_enveloped(&response, "_a", &self.key, &self.certificate)?;
        let keys = [VerifyingKey::from_certificate_der(&self.certificate)?];
        let mut times = (Vec::new(), Vec::new());
        for _ in 0..rounds.max(1) {
            let began = Instant::now();
            let root = Element::read(black_box(response.as_bytes()), LIMITS)?;
            times.0.push(began.elapsed());
            let assertion = root.with_id("_a").ok_or("no assertion")?;
            let began = Instant::now();
            black_box(verify(&root, assertion, &keys, POLICY)?);
            times.1.push(began.elapsed());
        }
        Ok((median(times.0), median(times.1)))
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
