//! Settings of the registration: what may be given, and what does not go together.

use super::load_text;

fn etcd(text: &str) -> Result<super::Config, String> {
    load_text(&format!("registry: {{etcd: {{endpoints: ['https://e:1'], {text}}}}}"))
}

#[test]
fn an_empty_list_of_endpoints_is_no_registration() {
    let config = load_text("registry: {etcd: {endpoints: [], register_server_name: ''}}").unwrap();
    assert!(!config.registry.etcd.is_on());
    let config = load_text("registry: {etcd: {endpoints: [localhost:2379]}}").unwrap();
    assert!(config.registry.etcd.is_on());
    assert_eq!(config.registry.etcd.register_server_name, "go-timeline");
    assert_eq!(config.registry.etcd.namespace, "/microservices");
}

#[test]
fn endpoints_are_addresses_with_or_without_a_scheme() {
    let text = "registry: {etcd: {endpoints: ['a:1', 'http://b:2/', 'https://[::1]:3']}}";
    let config = load_text(text).unwrap();
    assert_eq!(config.registry.etcd.endpoints, ["a:1", "http://b:2", "https://[::1]:3"]);
    for wrong in ["a", "http://a", ":1", "a:0", "ftp://a:1", "http://a:1/x", "http://u:p@a:1"] {
        let refused = load_text(&format!("registry: {{etcd: {{endpoints: ['{wrong}']}}}}"));
        assert!(refused.unwrap_err().contains("allowed: a list of HOST:PORT"), "{wrong}");
    }
}

#[test]
fn settings_of_the_registration_that_do_not_go_together_are_refused() {
    for (text, expected) in [
        ("register_server_name: ''", "register_server_name is empty"),
        ("namespace: microservices", "namespace must begin with /"),
        ("namespace: /microservices/", "not end with it"),
        ("username: ann", "username and password belong together"),
        ("password: p", "username and password belong together"),
        ("cert_file: c.pem", "cert_file and key_file belong together"),
        ("register_end_point: 'http://a:1'", "allowed: HOST:PORT, grpc://HOST:PORT"),
        ("register_end_point: '0.0.0.0'", "allowed: HOST:PORT"),
        ("register_weight: -1", "a whole number"),
    ] {
        let refused = etcd(text).expect_err(text);
        assert!(refused.contains(expected), "{text:?}: {refused}");
    }
    let plain = "registry: {etcd: {endpoints: ['e:1'], ca_file: ca.pem}}";
    assert!(load_text(plain).unwrap_err().contains("no endpoint begins with https://"));
    for text in ["ca_file: ca.pem", "username: a, password: b", "register_end_point: 'grpcs://a:1'"]
    {
        assert!(etcd(text).is_ok(), "{text}");
    }
}
