//! Secrets: shown nowhere, and read from files of their own.

use super::{file, load, load_text};

#[test]
fn secrets_are_masked_wherever_settings_are_shown() {
    let text = "data:\n  redis: {password: hunter2}\n  mongo:\n    \
                source: mongodb://ann:hunter2@db:27017/x?tlsCertificateKeyFilePassword=hunter2\n\
                registry: {etcd: {username: ann, password: hunter2}}\n";
    let config = load_text(text).unwrap();
    assert_eq!(config.data.redis.password.0, "hunter2");
    let shown = format!("{:?}", config.effective());
    assert!(shown.contains("mongodb://***@db:27017/x?***"), "{shown}");
    for shown in [shown, format!("{config:?}")] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    for text in [
        "data: {redis: {passwort: hunter2}}",
        "data: {redis: {password: [hunter2]}}",
        "registry: {etcd: {endpoints: ['http://ann:hunter2@etcd:2379']}}",
    ] {
        let refused = load_text(text).unwrap_err();
        assert!(!refused.contains("hunter2"), "{refused}");
    }
}

#[test]
fn a_secret_is_read_from_the_file_that_is_named() {
    let (_dir, secret) = file("hunter2 \n");
    let path = secret.to_str().unwrap();
    let config = load_text(&format!("data: {{redis: {{passwordFile: {path}}}}}")).unwrap();
    // Only the newline that editors add is left out.
    assert_eq!(config.data.redis.password.0, "hunter2 ");

    let variable = ("SEQLINE__DATA__MONGO__SOURCE_FILE", path);
    let (_dir, settings) = file("data: {mongo: {source: 'mongodb://elsewhere'}}");
    let config = load(Some(&settings), &[variable]).unwrap();
    assert_eq!(config.data.mongo.source.0, "hunter2 ", "a variable wins over the file");
    assert_eq!(load(None, &[("SEQLINE__DATA__MONGO__SOURCE_FILE", "")]), load(None, &[]));
}

#[test]
fn a_file_of_a_secret_that_cannot_be_used_is_refused_without_showing_anything_of_it() {
    let (_dir, large) = file(&"hunter2".repeat(10_000));
    for (text, expected) in [
        ("data: {redis: {password_file: /no/such}}", &["password_file", "/no/such", "read"][..]),
        ("data: {redis: {password_file: [a]}}", &["must be the path of a file"]),
        ("data: {redis: {password: hunter2, password_file: /x}}", &["both given: keep one"]),
        // Not a secret: nothing is read from files for it.
        ("data: {redis: {addr_file: /x}}", &["there is no setting data.redis.addr_file"]),
        ("server: {http_file: /x}", &["there is no setting server.http_file"]),
    ] {
        let refused = load_text(text).expect_err(text);
        for part in expected {
            assert!(refused.contains(part), "{text:?}: {part:?} is not in {refused}");
        }
        assert!(!refused.contains("hunter2"), "{refused}");
    }
    let variable = ("SEQLINE__DATA__REDIS__PASSWORD_FILE", large.to_str().unwrap());
    let refused = load(None, &[variable]).unwrap_err();
    assert!(refused.contains("a secret has at most") && !refused.contains("hunter2"), "{refused}");
}
