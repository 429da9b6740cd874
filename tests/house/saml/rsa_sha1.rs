//! RSA signatures with SHA-1, which the library verifies and does not make.

/// The start of `DigestInfo` for SHA-1 (RFC 8017 §9.2).
const DIGEST_INFO: [u8; 15] = [
    0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14,
];

/// The signature (RSASSA-PKCS1-v1_5) of a message with this SHA-1 by a key in PKCS #8.
pub(super) fn sign(pkcs8: &[u8], sha1: &[u8]) -> Vec<u8> {
    let (modulus, exponent) = numbers_of(pkcs8);
    let mut padded = vec![0xff; modulus.len()];
    padded[..2].copy_from_slice(&[0, 1]);
    let end = [&[0], &DIGEST_INFO[..], sha1].concat();
    let at = padded.len() - end.len();
    padded[at..].copy_from_slice(&end);
    power(&padded, &exponent, &modulus)
}

/// The modulus and the private exponent.
fn numbers_of(pkcs8: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (_, key, _) = value(pkcs8);
    let (_, _, after_version) = value(key);
    let (_, _, after_algorithm) = value(after_version);
    let (_, octets, _) = value(after_algorithm);
    let (_, numbers, _) = value(octets);
    let (_, _, rest) = value(numbers);
    let (_, modulus, rest) = value(rest);
    let (_, _, rest) = value(rest);
    let (_, exponent, _) = value(rest);
    let number = |bytes: &[u8]| match bytes {
        [0, rest @ ..] => rest.to_vec(),
        bytes => bytes.to_vec(),
    };
    (number(modulus), number(exponent))
}

/// The tag and the content of the first DER value, and what follows it.
fn value(der: &[u8]) -> (u8, &[u8], &[u8]) {
    let (length, at) = match der[1] {
        short @ 0..0x80 => (usize::from(short), 2),
        long => {
            let count = usize::from(long & 0x7f);
            let bytes = der[2..2 + count].iter();
            let length = bytes.fold(0, |length, byte| length << 8 | usize::from(*byte));
            (length, 2 + count)
        }
    };
    (der[0], &der[at..at + length], &der[at + length..])
}

/// `base` to the power of `exponent`, modulo an odd number. All are big-endian.
fn power(base: &[u8], exponent: &[u8], modulus: &[u8]) -> Vec<u8> {
    let field = Montgomery::new(limbs(modulus));
    let mut one = vec![0; field.modulus.len()];
    one[0] = 1;
    let base = field.multiply(&limbs(base), &field.square_of_radix());
    let mut result = field.multiply(&one, &field.square_of_radix());
    for byte in exponent {
        for bit in (0..8).rev() {
            result = field.multiply(&result, &result);
            if byte >> bit & 1 == 1 {
                result = field.multiply(&result, &base);
            }
        }
    }
    let result = field.multiply(&result, &one);
    result
        .iter()
        .rev()
        .flat_map(|limb| limb.to_be_bytes())
        .collect()
}

/// Limbs of 32 bits, the lowest first.
fn limbs(bytes: &[u8]) -> Vec<u32> {
    let chunks = bytes.rchunks(4);
    chunks
        .map(|chunk| {
            chunk
                .iter()
                .fold(0, |limb, byte| limb << 8 | u32::from(*byte))
        })
        .collect()
}

/// Multiplication modulo an odd number by Montgomery's method.
struct Montgomery {
    modulus: Vec<u32>,
    /// Minus the inverse of the lowest limb.
    inverse: u32,
}

impl Montgomery {
    fn new(modulus: Vec<u32>) -> Self {
        // Newton's iteration doubles the number of correct bits.
        let mut inverse = 1_u32;
        for _ in 0..5 {
            let product = modulus[0].wrapping_mul(inverse);
            inverse = inverse.wrapping_mul(2_u32.wrapping_sub(product));
        }
        Self {
            modulus,
            inverse: inverse.wrapping_neg(),
        }
    }

    /// The radix, 2 to the bits of the modulus, squared.
    fn square_of_radix(&self) -> Vec<u32> {
        let mut number = vec![0; self.modulus.len()];
        number[0] = 1;
        for _ in 0..self.modulus.len() * 64 {
            let mut carry = 0;
            for limb in &mut number {
                let doubled = u64::from(*limb) << 1 | carry;
                *limb = low(doubled);
                carry = doubled >> 32;
            }
            self.reduce(&mut number, carry);
        }
        number
    }

    /// The product divided by the radix.
    fn multiply(&self, one: &[u32], other: &[u32]) -> Vec<u32> {
        let count = self.modulus.len();
        let mut sum = vec![0_u32; count + 2];
        for factor in other {
            add_product(&mut sum, one, *factor);
            let multiple = sum[0].wrapping_mul(self.inverse);
            add_product(&mut sum, &self.modulus, multiple);
            sum.remove(0);
            sum.push(0);
        }
        let carry = u64::from(sum[count]);
        sum.truncate(count);
        self.reduce(&mut sum, carry);
        sum
    }

    /// Subtracts the modulus once if the number, with `carry` in front, is not below it.
    fn reduce(&self, number: &mut [u32], carry: u64) {
        let is_below = number.iter().rev().lt(self.modulus.iter().rev());
        if carry == 0 && is_below {
            return;
        }
        let mut borrow = 0_i64;
        for (limb, subtrahend) in number.iter_mut().zip(&self.modulus) {
            let difference = i64::from(*limb) - i64::from(*subtrahend) + borrow;
            *limb = low(difference.rem_euclid(1 << 32).unsigned_abs());
            borrow = difference >> 32;
        }
    }
}

fn add_product(sum: &mut [u32], number: &[u32], factor: u32) {
    let mut carry = 0;
    for (at, limb) in sum.iter_mut().enumerate() {
        let product = number
            .get(at)
            .map_or(0, |it| u64::from(*it) * u64::from(factor));
        let total = u64::from(*limb) + product + carry;
        *limb = low(total);
        carry = total >> 32;
    }
}

fn low(number: u64) -> u32 {
    u32::try_from(number & u64::from(u32::MAX)).unwrap()
}

#[test]
fn the_signature_is_the_one_that_the_library_verifies() {
    use aws_lc_rs::digest;
    use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, UnparsedPublicKey};
    let key = super::keys::first();
    let signature = key.sign(super::keys::RSA_SHA1, b"message");
    let public = UnparsedPublicKey::new(
        &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
        &key.public_der,
    );
    public.verify(b"message", &signature).unwrap();
    public.verify(b"massage", &signature).unwrap_err();
    let sha1 = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, b"message");
    assert_eq!(sha1.as_ref().len(), 20);
}
