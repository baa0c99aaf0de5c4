//! What a request and an answer look like to a program in another language.

use super::*;
use crate::error::ErrorKind;

fn check(json: &str, expected: &Request) {
    assert_eq!(serde_json::from_str::<Request>(json).as_ref().ok(), Some(expected), "{json}");
    assert_eq!(serde_json::to_string(expected).unwrap(), json);
}

#[test]
fn requests_have_a_stable_form() {
    check("\"status\"", &Request::Status);
    check("\"doctor\"", &Request::Doctor);
    check(r#"{"examine":{"who":"news"}}"#, &Request::Examine { who: "news".into() });
    check(
        r#"{"new-channel":{"name":"a"}}"#,
        &Request::NewChannel { name: "a".into(), private: false, open: false, hidden: false },
    );
    check(
        r#"{"new-channel":{"name":"a","private":true}}"#,
        &Request::NewChannel { name: "a".into(), private: true, open: false, hidden: false },
    );
    check(
        r#"{"new-channel":{"name":"a","open":true}}"#,
        &Request::NewChannel { name: "a".into(), private: false, open: true, hidden: false },
    );
    check(
        r#"{"sign-as":{"channel":"green","name":"Ada"}}"#,
        &Request::SignAs { channel: "green".into(), name: "Ada".into() },
    );
    check(
        r#"{"follow":{"link":"mesh:a"}}"#,
        &Request::Follow { link: "mesh:a".into(), hidden: false },
    );
    check(
        r#"{"follow":{"link":"mesh:a","hidden":true}}"#,
        &Request::Follow { link: "mesh:a".into(), hidden: true },
    );
    check(
        r#"{"hide":{"channel":"news","hidden":false}}"#,
        &Request::Hide { channel: "news".into(), hidden: false },
    );
    let writers = |change| Request::Writers { channel: "news".into(), change };
    check(r#"{"writers":{"channel":"news"}}"#, &writers(None));
    check(
        r#"{"writers":{"channel":"news","change":"rotate"}}"#,
        &writers(Some(WriterChange::Rotate)),
    );
    check(
        r#"{"writers":{"channel":"news","change":{"delegate":{"writer":"mesh:a"}}}}"#,
        &writers(Some(WriterChange::Delegate { writer: "mesh:a".into(), until_ms: None })),
    );
    check(
        r#"{"request-right":{"channel":"news","name":"Ada","right":"write"}}"#,
        &Request::RequestRight {
            channel: "news".into(),
            name: "Ada".into(),
            right: RequestedRight::Write,
        },
    );
    check(
        r#"{"feed":{"channel":"news","follow":true}}"#,
        &Request::Feed { channel: "news".into(), follow: true, chat: false },
    );
    check(
        r#"{"get":{"channel":"news","items":"all","to":{"directory":"/tmp"},"replace":false}}"#,
        &Request::Get {
            channel: "news".into(),
            items: Wanted::All,
            to: Destination::Directory("/tmp".into()),
            replace: false,
        },
    );
}

#[test]
fn what_is_not_known_is_refused_and_not_ignored() {
    for bad in [
        "\"stats\"",
        "status",
        "{}",
        r#"{"follow":{}}"#,
        r#"{"feed":{"channel":"news","follow":true,"since":3}}"#,
        r#"{"feed":{"channel":"news","follow":"yes"}}"#,
        r#"{"get":{"channel":"news","items":["1"],"to":{"file":"/tmp/a"},"replace":false}}"#,
    ] {
        assert!(serde_json::from_str::<Request>(bad).is_err(), "{bad}");
    }
}

#[test]
fn an_answer_ends_with_done_or_with_an_error_and_its_kind() {
    assert_eq!(serde_json::to_string(&Answer::Done).unwrap(), "\"done\"");
    let error = Error::new(ErrorKind::NotFound, "no such channel");
    assert_eq!(
        serde_json::to_string(&Answer::Error(error)).unwrap(),
        r#"{"error":{"kind":"not-found","message":"no such channel"}}"#
    );
}
