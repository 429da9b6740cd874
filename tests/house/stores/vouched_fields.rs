//! The verified fields by which later identities are linked follow what the source says.

use super::*;

/// A login through another connector that may be linked by this mobile number.
fn by_number(number: &str) -> Admission {
    Admission {
        connector: github(),
        subject: format!("github:{number}").parse().unwrap(),
        links: mobile(number),
        create: false,
        ..admission("zs")
    }
}

#[tokio::test]
async fn a_number_that_the_source_took_away_links_nobody() {
    for Backend { name, store, .. } in backends().await {
        let known = Admission {
            vouched: mobile("1"),
            ..admission("zhangsan")
        };
        let account = admit(&*store, &known).await;
        let replace = async |vouched: &[_]| {
            let corp = corp();
            let replaced = store.replace_vouched_fields(&corp, &known.subject, vouched);
            replaced.await.unwrap()
        };
        assert!(!replace(&mobile("1")).await, "{name}");
        assert!(replace(&mobile("2")).await, "{name}");
        let refused = store.admit(&by_number("1")).await.unwrap();
        assert_eq!(refused, AdmissionOutcome::Unknown, "{name}");
        assert_eq!(
            admit(&*store, &by_number("2")).await.id,
            account.id,
            "{name}"
        );
        assert!(replace(&[]).await, "{name}");
        let other = Admission {
            subject: "github:other".parse().unwrap(),
            ..by_number("2")
        };
        let refused = store.admit(&other).await.unwrap();
        assert_eq!(refused, AdmissionOutcome::Unknown, "{name}");
    }
}

#[tokio::test]
async fn nobody_is_linked_to_an_identity_that_is_unknown() {
    for Backend { name, store, .. } in backends().await {
        let nobody = "subject:nobody".parse().unwrap();
        let (corp, number) = (corp(), mobile("1"));
        let replaced = store.replace_vouched_fields(&corp, &nobody, &number);
        assert!(!replaced.await.unwrap(), "{name}");
        let refused = store.admit(&by_number("1")).await.unwrap();
        assert_eq!(refused, AdmissionOutcome::Unknown, "{name}");
    }
}
