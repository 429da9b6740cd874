use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;

const OWN_TOKEN: &str = "hydrate9TestToken";
/// The bytes 0 to 31.
const OWN_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const OWN_RECEIVER: &str = "ww00000000000000a1";

/// A message that another implementation signed and encrypted.
struct Vector {
    timestamp: &'static str,
    nonce: &'static str,
    encrypted: &'static str,
    signature: &'static str,
}

const DELETED: Vector = Vector {
    timestamp: "1700000001",
    nonce: "nonce-d1",
    encrypted: "4j/AuRx71kQlxVlzbpsMWD4yPqLil+DgdBUjsqwNBR9G+T+1LDiGSohUlSl5iUdKrQZvgEDx7LW+hr4cqlyaamEo0GzzSJ/GgsjheX+JpEpGj8JKav7L6hSMwLcfLjbAqeWMwT2IHTCDKFjE/VpQ8mJ1M7rAZIdu7wZz8bi8fwfiFirC6ZCBqBwk5aQCRN9Zb2IKxC25RE65OK7ZYnh6VhgX8ILwCu+iA1xbyAIvshL0Ken455eu1bNas6d/uuIjVyma+gdcouj3QjTRLeSk/NeHC/b0RNGCHEVBWYudPyyWa++SU0cAJRV0/AecjCiDcGKu/23J2GS26dIEtXAjB70bOSOQMnkJnhOG6reTvYsC25zSq0KqgmKK/HoxJaN48ktk83Fh87jNCrjHHEt6MUmg/J7lnKeOtPIkPLMEThZFIijmto9cGEDS7WVKQk4IsM8n1oQW7MVKrkagRtbLLA==",
    signature: "08b42b17681940d13c4d87e0468d9f9feed5bd62",
};

const RENAMED: Vector = Vector {
    timestamp: "1700000002",
    nonce: "nonce-d2",
    encrypted: "4j/AuRx71kQlxVlzbpsMWH9HCWl8vxInBfbooeqd73oL+YYmlzDq3djgK5ucGVHS2xE6DUOlVQrbeGFBjjePsXkzu1oXC8qu5K44Ucp67gqljXy6qxnfUH+A3VP51mtlOvT9twJAy9q3kbeCrSy4twBgjOlsi3wOBKc2YX4uhbOVrfSHSsxI37YuWPD0575HOtXlmx4mulFSn7fBy4OSP0RhLKBF/e/7uT+cy4miVpt4zXvhDLvI8qCTAjH6DFqR81MfXy6IS7maXFl2xaEdnN8FxWkbrg0xy3PRK2tvP1KoZ/Rg35av6V1LGRlsGI2CQR9kTxRzfCij9HBlHgHhFDdPGZr0+Q+IkmhYx7vXADGT47vDqQuvSyO/0iU6k1PFA163cSNNL/yNngOjGEXTYu7XUe+tW7RcxHDTzg4ylzBcrXucT85EPGGkZPoirHzRf/MFIhSgfRSTSjMyyMiihXas4VFPwrcXgMgnBGcnDQykpZCiirAHjik7UiorL92ZZSWgfyb3EI+4Gd3sy1ErVYZE0Nuv8FGqIH6wHH1Tpg4a8dx9Jn0ZiL4q4Ey3VnU7mEf+PTldqXTkqqwuX4kaIQ==",
    signature: "c5ec37cbfb5193095af44b989643c0572835aaa0",
};

const ECHO: Vector = Vector {
    timestamp: "1700000003",
    nonce: "nonce-d3",
    encrypted: "4j/AuRx71kQlxVlzbpsMWFHe92iq4VdHki6B+j5nrtjIyI7I7HtULbLP7rGqpL6qYoM7NC8PR9lxI/VvOB7J5Q==",
    signature: "b607f4a4094f1b8fd30969d8b910e1d208b49baa",
};

/// A whole block of padding, 32 bytes.
const PADDED_BY_32: Vector = Vector {
    timestamp: "1700000004",
    nonce: "nonce-d4",
    encrypted: "4j/AuRx71kQlxVlzbpsMWH+LhQVPFMqoHivVcDVik+zo47Q9e3Q+Hh1yfjFC1JW/7h+XES/nwg/F7nPzKfZvDGY0ey/kaiMS0EZJD47rpPL4+vceMLcHROF1TOnLfnzS",
    signature: "5708692c2e1e831d5103a7ea1e0a55faa77e7632",
};

/// For the receiver `ww_other_corp_0001`.
const FOR_OTHER_RECEIVER: Vector = Vector {
    timestamp: "1700000005",
    nonce: "nonce-d5",
    encrypted: "4j/AuRx71kQlxVlzbpsMWFHe92iq4VdHki6B+j5nrtgbs6xeqLXR8oOPsWiarnCOHrnit4HxkqgmaagKewijjA==",
    signature: "d8925a35a7ed47ddff736d6d757dc8f656c4f551",
};

/// For an empty receiver.
const FOR_EMPTY_RECEIVER: Vector = Vector {
    timestamp: "1700000006",
    nonce: "nonce-d6",
    encrypted: "4j/AuRx71kQlxVlzbpsMWOab+/yERYu24o3XHUvwRuw=",
    signature: "c90c709085b92641747bf4d1bf7ed47f019c2614",
};

fn cipher(token: &str, key: &str, receiver: &str) -> MessageCipher {
    let (token, key) = (Secret::new(token.to_owned()), Secret::new(key.to_owned()));
    MessageCipher::new(token, &key, receiver.to_owned()).unwrap()
}

fn own_cipher() -> MessageCipher {
    cipher(OWN_TOKEN, OWN_KEY, OWN_RECEIVER)
}

impl Vector {
    fn parts(&self) -> SignedParts<'_> {
        SignedParts {
            signature: self.signature,
            timestamp: self.timestamp,
            nonce: self.nonce,
            encrypted: self.encrypted,
        }
    }

    fn opened(&self, cipher: &MessageCipher) -> Result<String, CipherError> {
        let message = cipher.open(self.parts())?;
        Ok(String::from_utf8(message).unwrap())
    }
}

/// Encrypts these bytes, which include the padding, signs them, and opens the result.
fn encrypt_and_open(cipher: &MessageCipher, mut bytes: Vec<u8>) -> Result<Vec<u8>, CipherError> {
    let key = cipher.key.expose();
    let iv: [u8; 16] = key[..16].try_into().unwrap();
    let encrypting = EncryptingKey::cbc(UnboundCipherKey::new(&AES_256, key).unwrap()).unwrap();
    let iv = EncryptionContext::Iv128(FixedLength::from(iv));
    encrypting.less_safe_encrypt(&mut bytes, iv).unwrap();
    let encrypted = STANDARD.encode(&bytes);
    let mut parts = SignedParts {
        signature: "",
        timestamp: "1",
        nonce: "2",
        encrypted: &encrypted,
    };
    let signature = cipher.signature(&parts);
    parts.signature = &signature;
    cipher.open(parts)
}

#[test]
fn a_sealed_message_is_opened_by_its_receiver_alone() {
    for length in 0..70 {
        let message = vec![b'x'; length];
        let sealed = own_cipher().seal(&message, "1", "nonce").unwrap();
        let parts = SignedParts {
            signature: &sealed.signature,
            timestamp: "1",
            nonce: "nonce",
            encrypted: &sealed.encrypted,
        };
        assert_eq!(own_cipher().open(parts), Ok(message), "{length}");
        let other = cipher(OWN_TOKEN, OWN_KEY, "another");
        assert_eq!(other.open(parts), Err(CipherError::Receiver), "{length}");
        let again = own_cipher().seal(b"x", "1", "nonce").unwrap();
        assert_ne!(
            again.encrypted, sealed.encrypted,
            "it begins with random bytes"
        );
    }
}

/// The sample of DingTalk's own library, whose padding has 31 bytes.
#[test]
fn the_sample_message_of_dingtalk_is_opened() {
    let key = "Yue0EfdN5900c1ce5cf6A152c63DDe1808a60c5ecd7";
    let sample = Vector {
        timestamp: "1608001896814",
        nonce: "WL4PK6yA",
        encrypted: "0vJiX6vliEpwG3U45CtXqi+m8PXbQRARJ8p8BbDuD1EMTDf0jKpQ79QS93qEk7XHpP6u+oTTrd15NRPvNvmBKyDCYxxOK+HZeKju4yhELOFchzNukR+t8SB/qk4ROMu3",
        signature: "03044561471240d4a14bb09372dfcfd4fd0e40cb",
    };
    let opened = sample.opened(&cipher("mryue", key, "ding6ccabc44d2c8d38b"));
    assert_eq!(opened.unwrap(), r#"{"EventType":"check_url"}"#);
    let other = sample.opened(&cipher("mryue", key, "ding6ccabc44d2c8d38c"));
    assert_eq!(other, Err(CipherError::Receiver));
}

#[test]
fn messages_of_other_implementations_are_opened() {
    let message = DELETED.opened(&own_cipher()).unwrap();
    assert!(
        message.contains("<ChangeType>delete_user</ChangeType>"),
        "{message}"
    );
    let message = RENAMED.opened(&own_cipher()).unwrap();
    assert!(
        message.contains("<NewUserID><![CDATA[zhangsan001]]>"),
        "{message}"
    );
    assert_eq!(
        ECHO.opened(&own_cipher()).as_deref(),
        Ok("1616140317555161061")
    );
    let padded = PADDED_BY_32.opened(&own_cipher());
    assert_eq!(padded, Ok("a".repeat(26)));
    let without_receiver = cipher(OWN_TOKEN, OWN_KEY, "");
    assert_eq!(
        FOR_EMPTY_RECEIVER.opened(&without_receiver).as_deref(),
        Ok("hello")
    );
}

#[test]
fn messages_under_keys_with_unused_bits_are_opened() {
    let documented_cipher = cipher(
        "QDG6eK",
        "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C",
        "wx5823bf96d3bd56c7",
    );
    let echo = Vector {
        timestamp: "1409659589",
        nonce: "263014780",
        encrypted: "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ==",
        signature: "5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3",
    };
    assert_eq!(
        echo.opened(&documented_cipher).as_deref(),
        Ok("1616140317555161061")
    );
    let text = Vector {
        timestamp: "1409659813",
        nonce: "1372623149",
        encrypted: "RypEvHKD8QQKFhvQ6QleEB4J58tiPdvo+rtK1I9qca6aM/wvqnLSV5zEPeusUiX5L5X/0lWfrf0QADHHhGd3QczcdCUpj911L3vg3W/sYYvuJTs3TUUkSUXxaccAS0qhxchrRYt66wiSpGLYL42aM6A8dTT+6k4aSknmPj48kzJs8qLjvd4Xgpue06DOdnLxAUHzM6+kDZ+HMZfJYuR+LtwGc2hgf5gsijff0ekUNXZiqATP7PF5mZxZ3Izoun1s4zG4LUMnvw2r+KqCKIw+3IQH03v+BCA9nMELNqbSf6tiWSrXJB3LAVGUcallcrw8V2t9EL4EhzJWrQUax5wLVMNS0+rUPA3k22Ncx4XXZS9o0MBH27Bo6BpNelZpS+/uh9KsNlY6bHCmJU9p8g7m3fVKn28H3KDYA5Pl/T8Z1ptDAVe0lXdQ2YoyyH2uyPIGHBZZIs2pDBS8R07+qN+E7Q==",
        signature: "477715d11cdb4164915debcba66cb864d751f3e6",
    };
    let message = text.opened(&documented_cipher).unwrap();
    assert!(
        message.contains("<Content><![CDATA[hello]]></Content>"),
        "{message}"
    );
    let other_cipher = cipher(
        "kjr2TKI8umCBfVF3wAHk8JiPwma5VBme",
        "4Ma3YBrSBbX2aez8MJpXGBne5LSDwgGqHbhM9WPYIws",
        "ww6a112864f8022910",
    );
    let echo = Vector {
        timestamp: "1583940690",
        nonce: "VHh7ymSeb0jc4lSb",
        encrypted: "6KmUQuPVu7UhjyVqRdbo5SfcRqaHvbUlKSHFvBV2ZuR6TIlKsygcfeSd1GDplg1C5KSKr6UPHCaC/nIX3ZNt9w==",
        signature: "1ba3cb09c0d2c2b3ed6900d37f91a6efae6cb011",
    };
    assert_eq!(
        echo.opened(&other_cipher).as_deref(),
        Ok("94966531020182955848408")
    );
}

#[test]
fn a_message_for_another_receiver_is_refused() {
    assert_eq!(
        FOR_OTHER_RECEIVER.opened(&own_cipher()),
        Err(CipherError::Receiver)
    );
    assert_eq!(
        FOR_EMPTY_RECEIVER.opened(&own_cipher()),
        Err(CipherError::Receiver)
    );
    let with_longer_receiver = cipher(OWN_TOKEN, OWN_KEY, "ww00000000000000a1x");
    assert_eq!(
        DELETED.opened(&with_longer_receiver),
        Err(CipherError::Receiver)
    );
}

#[test]
fn every_signed_part_is_covered_by_the_signature() {
    let refused = |parts: SignedParts<'_>| own_cipher().open(parts).err();
    let parts = DELETED.parts();
    let upper = DELETED.signature.to_uppercase();
    for signature in ["", "0", &DELETED.signature[1..], RENAMED.signature, &upper] {
        let changed = SignedParts { signature, ..parts };
        assert_eq!(
            refused(changed),
            Some(CipherError::Signature),
            "{signature}"
        );
    }
    for changed in [
        SignedParts {
            timestamp: "1700000002",
            ..parts
        },
        SignedParts {
            nonce: "nonce-d2",
            ..parts
        },
        SignedParts {
            encrypted: RENAMED.encrypted,
            ..parts
        },
        SignedParts {
            encrypted: "",
            ..parts
        },
    ] {
        assert_eq!(refused(changed), Some(CipherError::Signature));
    }
    let with_other_token = cipher("another", OWN_KEY, OWN_RECEIVER);
    assert_eq!(
        DELETED.opened(&with_other_token),
        Err(CipherError::Signature)
    );
}

#[test]
fn a_message_under_another_key_is_refused() {
    let other_cipher = cipher(
        OWN_TOKEN,
        "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR",
        OWN_RECEIVER,
    );
    assert_eq!(DELETED.opened(&other_cipher), Err(CipherError::Decryption));
}

#[test]
fn broken_padding_and_wrong_lengths_are_refused() {
    let cipher = own_cipher();
    let message = |length: u32, text: &str, padding: &[u8]| {
        let mut bytes = b"0123456789abcdef".to_vec();
        bytes.extend(length.to_be_bytes());
        bytes.extend(text.as_bytes());
        bytes.extend(padding);
        bytes
    };
    let text = format!("hello{OWN_RECEIVER}");
    let padding_bytes = 2 * PADDED_TO - RANDOM_BYTES - LENGTH_BYTES - text.len();
    let valid_padding = vec![u8::try_from(padding_bytes).unwrap(); padding_bytes];
    assert_eq!(
        encrypt_and_open(&cipher, message(5, &text, &valid_padding)),
        Ok(b"hello".to_vec())
    );
    let mut uneven_padding = valid_padding.clone();
    uneven_padding[0] ^= 1;
    let with_last = |last: u8| {
        let mut padding = valid_padding.clone();
        *padding.last_mut().unwrap() = last;
        padding
    };
    for padding in [uneven_padding, with_last(0), with_last(33), with_last(255)] {
        let opened = encrypt_and_open(&cipher, message(5, &text, &padding));
        assert_eq!(opened, Err(CipherError::Decryption), "{padding:?}");
    }
    // The text has only 23 bytes.
    for length in [24, 1_000, u32::MAX] {
        let opened = encrypt_and_open(&cipher, message(length, &text, &valid_padding));
        assert_eq!(opened, Err(CipherError::Decryption), "{length}");
    }
    // Two messages that are too short for the length field, and two that are no multiple of 32 bytes.
    for bytes in [vec![32; 32], vec![16; 32], vec![16; 16], vec![16; 48]] {
        assert_eq!(
            encrypt_and_open(&cipher, bytes),
            Err(CipherError::Decryption)
        );
    }
    assert_eq!(
        encrypt_and_open(&cipher, Vec::new()),
        Err(CipherError::Decryption)
    );
}

#[test]
fn a_key_is_43_letters_and_digits() {
    assert!(decode_key(OWN_KEY).is_ok());
    let long = format!("{OWN_KEY}A");
    let padded = format!("{OWN_KEY}=");
    let signed = OWN_KEY.replacen('A', "+", 1);
    for bad in ["", &OWN_KEY[1..], &long, &padded, &signed] {
        assert_eq!(decode_key(bad).err(), Some(InvalidAesKey), "{bad}");
    }
    let shown = format!("{:?}", own_cipher());
    assert!(!shown.contains(OWN_TOKEN), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        rng_seed: RngSeed::Fixed(7_301),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_bytes_under_the_key_make_it_panic_or_open_what_is_not_a_message(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..10),
        blocks in 0_usize..6,
        length in any::<u32>(),
        padding in any::<u8>(),
    ) {
        bytes.resize(32 * blocks, 0x2a);
        if let Some(place) = bytes.get_mut(RANDOM_BYTES..RANDOM_BYTES + LENGTH_BYTES) {
            let length = if length.is_multiple_of(2) { length } else { length % 80 };
            place.copy_from_slice(&length.to_be_bytes());
        }
        let padded = usize::from(padding % 40).min(bytes.len());
        let at = bytes.len() - padded;
        bytes[at..].fill(padding % 40);
        // No receiver of this site is among the bytes.
        prop_assert!(encrypt_and_open(&own_cipher(), bytes).is_err());
    }

    #[test]
    fn every_message_is_opened_as_it_was_written(
        random in any::<[u8; RANDOM_BYTES]>(),
        message in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let mut bytes = [&random[..], &length, &message, OWN_RECEIVER.as_bytes()].concat();
        let padding = PADDED_TO - bytes.len() % PADDED_TO;
        bytes.resize(bytes.len() + padding, u8::try_from(padding).unwrap());
        prop_assert_eq!(encrypt_and_open(&own_cipher(), bytes), Ok(message));
    }

    #[test]
    fn a_callback_with_one_other_byte_is_refused(
        part in 0_usize..4,
        at in any::<prop::sample::Index>(),
        byte in 0x20_u8..0x7f,
    ) {
        let parts = RENAMED.parts();
        let mut texts = [parts.signature, parts.timestamp, parts.nonce, parts.encrypted]
            .map(|text| text.as_bytes().to_vec());
        let at = at.index(texts[part].len());
        prop_assume!(texts[part][at] != byte);
        texts[part][at] = byte;
        let texts = texts.map(|text| String::from_utf8(text).unwrap());
        let changed = SignedParts {
            signature: &texts[0],
            timestamp: &texts[1],
            nonce: &texts[2],
            encrypted: &texts[3],
        };
        prop_assert_eq!(own_cipher().open(changed), Err(CipherError::Signature));
    }
}
