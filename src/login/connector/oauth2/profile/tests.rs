use serde_json::json;

use super::super::config::Config;
use super::*;

fn settings_with(lines: &str) -> ProviderSettings {
    let text = format!(
        "client_id = 'me'\nauthorize_url = 'https://p/a'\ntoken_url = 'https://p/t'\n\
         profile_url = 'https://p/u'\nvouched_email = 'profile.verified ? profile.email : null'\n\
         {lines}"
    );
    ProviderSettings::of(&toml::from_str::<Config>(&text).unwrap()).unwrap()
}

fn profile_of(subject: &str, profile: Value) -> Result<FetchedProfile, ConnectorError> {
    let Value::Object(profile) = profile else {
        panic!("an object");
    };
    read_profile(
        &settings_with(&format!("subject = '{subject}'")),
        profile,
        Vec::new(),
    )
}

#[test]
fn a_subject_is_a_non_empty_text_or_a_number() {
    for (subject, profile, expected) in [
        ("profile.id", json!({ "id": "a b" }), Some("a b")),
        ("profile.id", json!({ "id": 7 }), Some("7")),
        ("string(profile.id)", json!({ "id": 7 }), Some("7")),
        ("profile.id", json!({ "id": "" }), None),
        ("profile.id", json!({ "id": true }), None),
        ("profile.id", json!({ "id": null }), None),
        ("profile.id", json!({ "id": 1.5 }), None),
        ("profile.id", json!({ "id": ["a"] }), None),
        ("profile.id", json!({ "id": "a\nb" }), None),
        ("profile.id", json!({ "id": "x".repeat(513) }), None),
        ("profile.id", json!({}), None),
        ("string(profile.id)", json!({ "id": null }), None),
        ("profile.id + 1", json!({ "id": "a" }), None),
    ] {
        let fetched = profile_of(subject, profile.clone());
        let subject = fetched
            .as_ref()
            .ok()
            .map(|fetched| fetched.subject.as_str());
        assert_eq!(subject, expected, "{profile}");
        if let Err(error) = fetched {
            let invalid = matches!(error, ConnectorError::InvalidResponse(_));
            assert!(invalid, "{error:?}");
        }
    }
}

#[test]
fn only_a_verified_address_is_vouched_for() {
    let verified_fields =
        |profile| profile_of("profile.id", profile).map(|fetched| fetched.verified_fields);
    let email = |address: &str| vec![(LinkField::Email, address.to_owned())];
    let profile = json!({ "id": 1, "email": "a@b", "verified": true });
    assert_eq!(verified_fields(profile).unwrap(), email("a@b"));
    for none in [
        json!({ "id": 1, "email": "a@b", "verified": false }),
        json!({ "id": 1, "email": "a@b" }),
        json!({ "id": 1, "verified": true }),
        json!({ "id": 1, "email": "", "verified": true }),
        json!({ "id": 1, "email": ["a@b"], "verified": true }),
        json!({ "id": 1, "email": true, "verified": true }),
        json!({ "id": 1, "email": null, "verified": true }),
    ] {
        assert_eq!(verified_fields(none.clone()).unwrap(), [], "{none}");
    }
    assert!(verified_fields(json!({ "id": 1, "email": "a@b", "verified": "yes" })).is_err());
}

#[test]
fn further_responses_are_merged_under_their_names() {
    let further = vec![("emails".to_owned(), json!([{ "email": "a@b" }]))];
    let profile = json!({ "id": 1, "emails": "what the profile says itself" });
    let Value::Object(profile) = profile else {
        panic!("an object");
    };
    let fetched = read_profile(&settings_with("subject = 'profile.id'"), profile, further).unwrap();
    assert_eq!(fetched.raw["emails"][0]["email"], "a@b");
    assert!(!format!("{fetched:?}").contains("a@b"));
}
