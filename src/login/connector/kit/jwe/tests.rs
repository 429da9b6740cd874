use super::*;

/// The plain text of the examples in RFC 7520, section 5.
const PLAIN: &str = "You can trust us to stick with you through thick and thin\u{2013}to the bitter end. \
     And you can trust us to keep any secret of yours\u{2013}closer than you keep it yourself. But you \
     cannot trust us to let you face trouble alone, and go off without a word. We are your friends, Frodo.";

/// RFC 7520 §5.5: ECDH-ES on P-256 and A128CBC-HS256.
const BY_AGREEMENT: &str = "eyJhbGciOiJFQ0RILUVTIiwia2lkIjoibWVyaWFkb2MuYnJhbmR5YnVja0BidWNrbGFuZC5leGFtcGxlIiwiZXBrIjp7Im\
     t0eSI6IkVDIiwiY3J2IjoiUC0yNTYiLCJ4IjoibVBVS1RfYkFXR0hJaGcwVHBqanFWc1AxclhXUXVfdndWT0hIdE5rZFlv\
     QSIsInkiOiI4QlFBc0ltR2VBUzQ2ZnlXdzVNaFlmR1RUMElqQnBGdzJTUzM0RHY0SXJzIn0sImVuYyI6IkExMjhDQkMtSF\
     MyNTYifQ..yc9N8v5sYyv3iGQT926IUg.BoDlwPnTypYq-ivjmQvAYJLb5Q6l-F3LIgQomlz87yW4OPKbWE1zSTEFjDfhU\
     9IPIOSA9Bml4m7iDFwA-1ZXvHteLDtw4R1XRGMEsDIqAYtskTTmzmzNa-_q4F_evAPUmwlO-ZG45Mnq4uhM1fm_D9rBtWo\
     lqZSF3xGNNkpOMQKF1Cl8i8wjzRli7-IXgyirlKQsbhhqRzkv8IcY6aHl24j03C-AR2le1r7URUhArM79BY8soZU0lzwI-\
     sD5PZ3l4NDCCei9XkoIAfsXJWmySPoeRb2Ni5UZL4mYpvKDiwmyzGd65KqVw7MsFfI_K767G9C9Azp73gKZD0DyUn1mn0W\
     W5LmyX_yJ-3AROq8p1WZBfG-ZyJ6195_JGG2m9Csg.WCCkNa-x4BeB9hIDIfFuhg";

/// RFC 7520 §5.6: dir and A128GCM.
const DIRECT: &str = "eyJhbGciOiJkaXIiLCJraWQiOiI3N2M3ZTJiOC02ZTEzLTQ1Y2YtODY3Mi02MTdiNWI0NTI0M2EiLCJlbmMiOiJBMTI4R0\
     NNIn0..refa467QzzKx6QAB.JW_i_f52hww_ELQPGaYyeAB6HYGcR559l9TYnSovc23XJoBcW29rHP8yZOZG7YhLpT1bjF\
     uvZPjQS-m0IFtVcXkZXdH_lr_FrdYt9HRUYkshtrMmIUAyGmUnd9zMDB2n0cRDIHAzFVeJUDxkUwVAE7_YGRPdcqMyiBoC\
     O-FBdE-Nceb4h3-FtBP-c_BIwCPTjb9o0SbdcdREEMJMyZBH8ySWMVi1gPD9yxi-aQpGbSv_F9N4IZAxscj5g-NJsUPbjk\
     29-s7LJAGb15wEBtXphVCgyy53CoIKLHHeJHXex45Uz9aKZSRSInZI-wjsY0yu3cT4_aQ3i1o-tiE-F8Ios61EKgyIQ4CW\
     ao8PFMj8TTnp.vbb32Xvllea2OtmHAdccRQ";

/// RFC 7520 §5.7: A256GCMKW and A128CBC-HS256.
const BY_GCM: &str = "eyJhbGciOiJBMjU2R0NNS1ciLCJraWQiOiIxOGVjMDhlMS1iZmE5LTRkOTUtYjIwNS0yYjRkZDFkNDMyMWQiLCJ0YWciOi\
     JrZlBkdVZRM1QzSDZ2bmV3dC0ta3N3IiwiaXYiOiJLa1lUMEdYXzJqSGxmcU5fIiwiZW5jIjoiQTEyOENCQy1IUzI1NiJ9\
     .lJf3HbOApxMEBkCMOoTnnABxs_CvTWUmZQ2ElLvYNok.gz6NjyEFNm_vm8Gj6FwoFQ.Jf5p9-ZhJlJy_IQ_byKFmI0Ro7\
     w7G1QiaZpI8OaiVgD8EqoDZHyFKFBupS8iaEeVIgMqWmsuJKuoVgzR3YfzoMd3GxEm3VxNhzWyWtZKX0gxKdy6HgLvqoGN\
     bZCzLjqcpDiF8q2_62EVAbr2uSc2oaxFmFuIQHLcqAHxy51449xkjZ7ewzZaGV3eFqhpco8o4DijXaG5_7kp3h2cajRfDg\
     ymuxUbWgLqaeNQaJtvJmSMFuEOSAzw9Hdeb6yhdTynCRmu-kqtO5Dec4lT2OMZKpnxc_F1_4yDJFcqb5CiDSmA-psB2k0J\
     tjxAj4UPI61oONK7zzFIu4gBfjJCndsZfdvG7h8wGjV98QhrKEnR7xKZ3KCr0_qR1B-gxpNk3xWU.DKW7jrb4WaRSNfbXV\
     PlT5g";

/// RFC 7520 §5.8: A128KW and A128GCM.
const BY_KEY_WRAP: &str = "eyJhbGciOiJBMTI4S1ciLCJraWQiOiI4MWIyMDk2NS04MzMyLTQzZDktYTQ2OC04MjE2MGFkOTFhYzgiLCJlbmMiOiJBMT\
     I4R0NNIn0.CBI6oDw8MydIx1IBntf_lQcw2MmJKIQx.Qx0pmsDa8KnJc9Jo.AwliP-KmWgsZ37BvzCefNen6VTbRK3QMA4\
     TkvRkH0tP1bTdhtFJgJxeVmJkLD61A1hnWGetdg11c9ADsnWgL56NyxwSYjU1ZEHcGkd3EkU0vjHi9gTlb90qSYFfeF0Lw\
     kcTtjbYKCsiNJQkcIp1yeM03OmuiYSoYJVSpf7ej6zaYcMv3WwdxDFl8REwOhNImk2Xld2JXq6BR53TSFkyT7PwVLuq-1G\
     wtGHlQeg7gDT6xW0JqHDPn_H-puQsmthc9Zg0ojmJfqqFvETUxLAF-KjcBTS5dNy6egwkYtOt8EIHK-oEsKYtZRaa8Z7MO\
     Z7UGxGIMvEmxrGCPeJa14slv2-gaqK0kEThkaSqdYw0FkQZF.ER7MWJZ1FBI_NKvn7Zb1Lw";

/// The private key of [`BY_AGREEMENT`], in PKCS #8.
const P256_KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
     MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgr/kHyZ+a06rmxM3y\n\
     ESK84r1otSg+aQcVStkRhA+iCM+hRANCAARl7aWhJXfCuugpQ3/jOHAaEKqjdeG7\n\
     W13hCN5DnAhVHR5S7XVwEWP3+eQN3580Gz3JuoYK9+DKfKfp7s0AhNGc\n\
     -----END PRIVATE KEY-----\n";

/// The same key in the form of RFC 5915.
const P256_SEC1_KEY: &str = "-----BEGIN EC PRIVATE KEY-----\n\
     MHcCAQEEIK/5B8mfmtOq5sTN8hEivOK9aLUoPmkHFUrZEYQPogjPoAoGCCqGSM49\n\
     AwEHoUQDQgAEZe2loSV3wrroKUN/4zhwGhCqo3Xhu1td4QjeQ5wIVR0eUu11cBFj\n\
     9/nkDd+fNBs9ybqGCvfgynyn6e7NAITRnA==\n\
     -----END EC PRIVATE KEY-----\n";

/// A key on P-384.
const P384_KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
     MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDCJPHamTvBb4aomQdwS\n\
     QVBvYQXJhw7tG6CZpbeZGtBUA5SI+iaZPQh2dgrbEOVmH6OhZANiAARhTitFTN2Z\n\
     WqZG1Y6zY6kMT9Pl+w0ih1wbwbkVY+tM8zLGnOxI4ZpAul7YWnEGa7YDz7LEIfGR\n\
     8HPeEpl8jWNRgyNSGwS95n1Me7AWMfawI122SxElTsPn5KSBoUvURM8=\n\
     -----END PRIVATE KEY-----\n";

/// Bob's key in RFC 7518, appendix C.
const BOBS_KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
     MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgVEmDZpDXXK8p8N0C\n\
     ndsxs924q6nS1RXFASRl6BfUqdyhRANCAATB40nLYexwJIzoAQNMODThuI6+EWHL\n\
     Ja84dB94X8/ExHvJZwjvgJUrU/jSVV/nK4Qe0EWIYosdN4pZSTlQDsnJ\n\
     -----END PRIVATE KEY-----\n";

/// The examples: the token, its algorithms, and its key.
const EXAMPLES: [(&str, KeyAlgorithm, ContentAlgorithm, &str); 5] = [
    (
        BY_AGREEMENT,
        KeyAlgorithm::EcdhEs,
        ContentAlgorithm::A128CbcHs256,
        P256_KEY,
    ),
    (
        BY_AGREEMENT,
        KeyAlgorithm::EcdhEs,
        ContentAlgorithm::A128CbcHs256,
        P256_SEC1_KEY,
    ),
    (
        DIRECT,
        KeyAlgorithm::Direct,
        ContentAlgorithm::A128GCM,
        "XctOhJAkA-pD9Lh7ZgW_2A",
    ),
    (
        BY_GCM,
        KeyAlgorithm::A256GCMKW,
        ContentAlgorithm::A128CbcHs256,
        "qC57l_uxcm7Nm3K-ct4GFjx8tM1U8CZ0NLBvdQstiS8",
    ),
    (
        BY_KEY_WRAP,
        KeyAlgorithm::A128KW,
        ContentAlgorithm::A128GCM,
        "GZy6sIZ6wl9NJOKB-jnmVQ",
    ),
];

fn decrypter(algorithm: KeyAlgorithm, content: ContentAlgorithm, key: &str) -> TokenDecrypter {
    let key = Secret::new(key.to_owned());
    TokenDecrypter::new(algorithm, content, &key, KeyEncoding::Base64).unwrap()
}

/// Replaces one part of a token.
fn with_part(token: &str, at: usize, part: &str) -> String {
    let mut parts: Vec<_> = token.split('.').collect();
    parts[at] = part;
    parts.join(".")
}

/// The token with other members in its header. The content key may still be found, so that only the tag
/// protects the header.
fn with_header(token: &str, members: &serde_json::Value) -> String {
    let (header, _) = token.split_once('.').unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(header).unwrap();
    let mut header: serde_json::Map<_, _> = serde_json::from_slice(&bytes).unwrap();
    header.extend(members.as_object().unwrap().clone());
    let header = serde_json::Value::Object(header).to_string();
    with_part(token, 0, &URL_SAFE_NO_PAD.encode(header))
}

#[test]
fn the_examples_of_the_standard_are_decrypted() {
    for (token, algorithm, content, key) in EXAMPLES {
        let plain = decrypter(algorithm, content, key).decrypt(token);
        assert_eq!(plain.unwrap().expose(), PLAIN, "{algorithm:?}");
    }
}

#[test]
fn a_token_with_any_altered_part_is_not_decrypted() {
    for (token, algorithm, content, key) in EXAMPLES {
        let decrypter = decrypter(algorithm, content, key);
        let header = with_header(token, &serde_json::json!({ "kid": "other" }));
        let failure = decrypter.decrypt(&header).unwrap_err();
        assert_eq!(failure, DecryptError::Decryption, "{algorithm:?}: header");
        for (at, part) in token.split('.').enumerate().skip(1) {
            let bytes = URL_SAFE_NO_PAD.decode(part).unwrap();
            let mut altered = vec![[bytes.as_slice(), &[0]].concat()];
            for index in [0, bytes.len() / 2, bytes.len().saturating_sub(1)] {
                let mut flipped = bytes.clone();
                if let Some(byte) = flipped.get_mut(index) {
                    *byte ^= 1;
                    altered.push(flipped);
                    altered.push(bytes[..index].to_vec());
                }
            }
            for bytes in altered {
                let other = with_part(token, at, &URL_SAFE_NO_PAD.encode(&bytes));
                let failure = decrypter.decrypt(&other).unwrap_err();
                assert_eq!(
                    failure,
                    DecryptError::Decryption,
                    "{algorithm:?}: part {at} with {} bytes",
                    bytes.len()
                );
            }
        }
    }
}

#[test]
fn only_the_configured_algorithms_are_accepted() {
    for (token, algorithm, content, key) in EXAMPLES {
        let decrypter = decrypter(algorithm, content, key);
        for other in [
            "RSA1_5",
            "PBES2-HS256+A128KW",
            "none",
            "DIR",
            "A192KW",
            "ECDH-ES+A128KW",
            "",
        ] {
            let token = with_header(token, &serde_json::json!({ "alg": other }));
            let failure = decrypter.decrypt(&token).unwrap_err();
            assert!(
                matches!(failure, DecryptError::KeyAlgorithm { .. }),
                "{other}: {failure}"
            );
        }
        for other in ["A192GCM", "A192CBC-HS384", "a128gcm", ""] {
            let token = with_header(token, &serde_json::json!({ "enc": other }));
            let failure = decrypter.decrypt(&token).unwrap_err();
            assert!(
                matches!(failure, DecryptError::ContentAlgorithm { .. }),
                "{other}: {failure}"
            );
        }
    }
}

#[test]
fn a_compressed_token_and_an_unknown_extension_are_refused_before_the_decryption() {
    let (token, algorithm, content, key) = EXAMPLES[2];
    let decrypter = decrypter(algorithm, content, key);
    let refused = |members| {
        decrypter
            .decrypt(&with_header(token, &members))
            .unwrap_err()
    };
    assert_eq!(
        refused(serde_json::json!({ "zip": "DEF" })),
        DecryptError::Compressed
    );
    assert_eq!(
        refused(serde_json::json!({ "zip": "" })),
        DecryptError::Compressed
    );
    assert_eq!(
        refused(serde_json::json!({ "crit": ["exp"], "exp": 1 })),
        DecryptError::UnknownExtension
    );
}

#[test]
fn text_that_is_no_token_is_malformed() {
    let (token, algorithm, content, key) = EXAMPLES[2];
    let decrypter = decrypter(algorithm, content, key);
    let padded = with_part(
        token,
        4,
        &format!("{}==", token.rsplit('.').next().unwrap()),
    );
    for text in [
        "",
        "....",
        "a.b.c",
        token
            .strip_suffix(token.rsplit('.').next().unwrap())
            .unwrap()
            .trim_end_matches('.'),
        &format!("{token}."),
        &with_part(token, 0, "bm8ganNvbg"),
        &with_part(token, 0, &URL_SAFE_NO_PAD.encode("[]")),
        &with_part(
            token,
            0,
            &URL_SAFE_NO_PAD.encode(r#"{"alg":"dir","alg":"dir","enc":"A128GCM"}"#),
        ),
        &with_part(token, 2, "%"),
        &padded,
    ] {
        assert_eq!(
            decrypter.decrypt(text).unwrap_err(),
            DecryptError::Malformed,
            "{text}"
        );
    }
}

#[test]
fn a_key_on_another_curve_or_off_the_curve_is_refused() {
    let (token, algorithm, content, key) = EXAMPLES[0];
    let decrypter = decrypter(algorithm, content, key);
    let (header, _) = token.split_once('.').unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(header).unwrap();
    let header: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let x = header["epk"]["x"].as_str().unwrap();
    let zeros = URL_SAFE_NO_PAD.encode([0; 32]);
    for epk in [
        serde_json::json!({ "kty": "EC", "crv": "P-256", "x": x, "y": zeros }),
        serde_json::json!({ "kty": "EC", "crv": "P-256", "x": zeros, "y": zeros }),
        serde_json::json!({ "kty": "EC", "crv": "P-384", "x": x, "y": header["epk"]["y"] }),
        serde_json::json!({ "kty": "OKP", "crv": "P-256", "x": x, "y": header["epk"]["y"] }),
        serde_json::json!({ "kty": "EC", "crv": "P-256", "x": x, "y": "" }),
    ] {
        let token = with_header(token, &serde_json::json!({ "epk": epk }));
        let failure = decrypter.decrypt(&token).unwrap_err();
        assert_eq!(failure, DecryptError::Decryption, "{epk}");
    }
}

#[test]
fn the_agreed_key_is_that_of_the_standard() {
    // RFC 7518, appendix C.
    let header: EncryptedHeader = serde_json::from_value(serde_json::json!({
        "alg": "ECDH-ES", "enc": "A128GCM", "apu": "QWxpY2U", "apv": "Qm9i",
        "epk": {
            "kty": "EC", "crv": "P-256",
            "x": "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0",
            "y": "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps",
        },
    }))
    .unwrap();
    let decrypter = decrypter(KeyAlgorithm::EcdhEs, ContentAlgorithm::A128GCM, BOBS_KEY);
    let key = decrypter
        .key
        .content_key(ContentAlgorithm::A128GCM, &header, b"")
        .unwrap();
    assert_eq!(
        URL_SAFE_NO_PAD.encode(key.expose()),
        "VqqN6vgjbSBcIijNcacQGg"
    );
    assert!(
        decrypter
            .key
            .content_key(ContentAlgorithm::A128GCM, &header, b"x")
            .is_none()
    );
}

#[test]
fn a_key_of_the_wrong_length_or_kind_is_refused() {
    let problem = |algorithm, content, key: &str| {
        let key = Secret::new(key.to_owned());
        TokenDecrypter::new(algorithm, content, &key, KeyEncoding::Text).err()
    };
    let key = |bytes: usize| "k".repeat(bytes);
    for (algorithm, content, needed) in [
        (KeyAlgorithm::Direct, ContentAlgorithm::A128GCM, 16),
        (KeyAlgorithm::Direct, ContentAlgorithm::A256GCM, 32),
        (KeyAlgorithm::Direct, ContentAlgorithm::A128CbcHs256, 32),
        (KeyAlgorithm::Direct, ContentAlgorithm::A256CbcHs512, 64),
        (KeyAlgorithm::A128KW, ContentAlgorithm::A256GCM, 16),
        (KeyAlgorithm::A256KW, ContentAlgorithm::A128GCM, 32),
        (KeyAlgorithm::A128GCMKW, ContentAlgorithm::A256GCM, 16),
        (KeyAlgorithm::A256GCMKW, ContentAlgorithm::A128GCM, 32),
    ] {
        assert_eq!(
            problem(algorithm, content, &key(needed)),
            None,
            "{algorithm:?}"
        );
        for bytes in [needed - 1, needed + 1] {
            let problem = problem(algorithm, content, &key(bytes));
            assert!(
                matches!(problem, Some(KeyProblem::Length { .. })),
                "{algorithm:?} with {bytes}: {problem:?}"
            );
        }
    }
    for (algorithm, key) in [
        (KeyAlgorithm::RsaOaep, P256_KEY),
        (KeyAlgorithm::RsaOaep256, "a secret"),
        (KeyAlgorithm::EcdhEs, "a secret"),
    ] {
        let problem = problem(algorithm, ContentAlgorithm::A128GCM, key);
        assert!(
            matches!(problem, Some(KeyProblem::DecryptionKey { .. })),
            "{algorithm:?}: {problem:?}"
        );
    }
    assert_eq!(
        problem(KeyAlgorithm::EcdhEs, ContentAlgorithm::A128GCM, P384_KEY),
        None
    );
    let as_secret = problem(KeyAlgorithm::A128KW, ContentAlgorithm::A128GCM, P256_KEY);
    assert_eq!(as_secret, Some(KeyProblem::PemAsSecret));
}

#[test]
fn debug_shows_no_key() {
    let (_, algorithm, content, _) = EXAMPLES[2];
    let shown = format!(
        "{:?}",
        decrypter(algorithm, content, "aHVudGVyMmh1bnRlcjJodQ")
    );
    assert!(
        shown.contains("Direct") && !shown.contains("hunter") && !shown.contains("aHVu"),
        "{shown}"
    );
}
