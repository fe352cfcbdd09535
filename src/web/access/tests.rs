//! Who gets in.

use super::*;

fn access() -> Access {
    Access::new(Keys {
        users: [("ada".to_owned(), bcrypt::hash("lovelace", 4).unwrap())].into(),
        read_tokens: vec!["reads".to_owned()],
        change_tokens: vec!["changes".to_owned(), "changes-too".to_owned()],
        ..Keys::default()
    })
}

fn with(authorization: &str) -> HeaderMap {
    [(header::AUTHORIZATION, HeaderValue::from_str(authorization).unwrap())].into_iter().collect()
}

fn basic(text: &str) -> HeaderMap {
    with(&format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text)))
}

#[tokio::test]
async fn each_key_opens_its_door_only() {
    let access = access();
    let cases = [
        (HeaderMap::new(), Standing::Nobody),
        (with("Bearer reads"), Standing::Reader),
        (with("bearer  reads "), Standing::Reader),
        (with("Bearer changes"), Standing::Changer),
        (with("Bearer changes-too"), Standing::Changer),
        (with("Bearer change"), Standing::Nobody),
        (with("Bearer "), Standing::Nobody),
        (with("Digest reads"), Standing::Nobody),
        (with("Basic !!!"), Standing::Nobody),
        (basic("ada:lovelace"), Standing::Reader),
        (basic("ada:babbage"), Standing::Nobody),
        (basic("bob:lovelace"), Standing::Nobody),
        (basic("token:reads"), Standing::Reader),
        // A browser would send it along on any site's behalf.
        (basic("token:changes"), Standing::Reader),
        (basic("ada:changes"), Standing::Nobody),
    ];
    for (headers, want) in cases {
        assert_eq!(access.standing(&headers).await, want, "{headers:?}");
    }
    // Right once is right again, and still wrong with another password.
    assert_eq!(access.standing(&basic("ada:lovelace")).await, Standing::Reader);
    assert_eq!(access.standing(&basic("ada:lovelacE")).await, Standing::Nobody);
}

#[tokio::test]
async fn without_keys_everybody_reads_and_nobody_changes() {
    let access = Access::default();
    assert!(!access.is_guarded() && !access.has_change_tokens());
    assert_eq!(access.standing(&HeaderMap::new()).await, Standing::Reader);
    assert_eq!(access.standing(&with("Bearer anything")).await, Standing::Reader);
}

#[test]
fn the_bucket_empties_and_fills() {
    let rate = Some(Rate { interval: Duration::from_secs(1), burst: 2 });
    let access = Access::new(Keys { rate, ..Keys::default() });
    let now = Instant::now();
    assert!(access.admit(now) && access.admit(now) && !access.admit(now));
    assert!(access.admit(now + Duration::from_secs(1)) && !access.admit(now + Duration::from_secs(1)));
}

#[test]
fn keys_are_not_printed() {
    let text = format!("{:?}", access());
    assert!(!text.contains("reads") && !text.contains("changes") && !text.contains("$2"), "{text}");
}
