use super::*;
use serde_json::json;
use std::string::ToString;
use std::vec::Vec;

const ISSUER: &str = "https://idp.example.com/tenant";

fn hosts() -> Vec<DiscoveryHost> {
    [
        ("https", "idp.example.com"),
        ("https", "keys.example.com:8443"),
        ("http", "127.0.0.1:8080"),
        ("http", "[::1]:9090"),
    ]
    .map(|(scheme, authority)| DiscoveryHost {
        scheme: scheme.into(),
        authority: authority.into(),
        cluster: authority.into(),
    })
    .into()
}

fn read(document: &str) -> Result<KeyLocation, MetadataError> {
    key_location(document.as_bytes(), ISSUER, &hosts())
}

fn with_uri(uri: &str) -> Result<KeyLocation, MetadataError> {
    read(&json!({ "issuer": ISSUER, "jwks_uri": uri }).to_string())
}

#[test]
fn documents_lie_where_the_specifications_say() {
    for (path, expected) in [
        (
            "/",
            [
                "/.well-known/openid-configuration",
                "/.well-known/oauth-authorization-server",
            ],
        ),
        (
            "",
            [
                "/.well-known/openid-configuration",
                "/.well-known/oauth-authorization-server",
            ],
        ),
        (
            "/a",
            [
                "/a/.well-known/openid-configuration",
                "/.well-known/oauth-authorization-server/a",
            ],
        ),
        (
            "/a/b/",
            [
                "/a/b/.well-known/openid-configuration",
                "/.well-known/oauth-authorization-server/a/b",
            ],
        ),
    ] {
        assert_eq!(metadata_paths(path), expected, "{path}");
    }
}

#[test]
fn keys_are_where_an_allowed_host_has_them() {
    for (uri, host, authority, path) in [
        (
            "https://idp.example.com/keys",
            0,
            "idp.example.com",
            "/keys",
        ),
        (
            "HTTPS://IDP.Example.COM/Keys",
            0,
            "idp.example.com",
            "/Keys",
        ),
        (
            "https://idp.example.com:443/keys?a=b&c",
            0,
            "idp.example.com:443",
            "/keys?a=b&c",
        ),
        ("https://idp.example.com", 0, "idp.example.com", "/"),
        ("https://idp.example.com?x", 0, "idp.example.com", "/?x"),
        (
            "https://keys.example.com:8443/%7e",
            1,
            "keys.example.com:8443",
            "/%7e",
        ),
        ("http://127.0.0.1:8080/jwks", 2, "127.0.0.1:8080", "/jwks"),
        ("http://[::1]:9090/jwks", 3, "[::1]:9090", "/jwks"),
    ] {
        let location = KeyLocation {
            url: uri.into(),
            host,
            authority: authority.into(),
            path: path.into(),
        };
        assert_eq!(with_uri(uri), Ok(location), "{uri}");
    }
}

#[test]
fn keys_elsewhere_are_refused() {
    let foreign = |host: &str| {
        std::format!(
            "`jwks_uri` of the document is on `{host}`, which is neither the issuer's host nor one of `discovery_hosts`"
        )
    };
    let fault = |problem: &str| std::format!("`jwks_uri` of the document {problem}");
    for (uri, message) in [
        ("https://evil.example.com/keys", foreign("evil.example.com")),
        (
            "https://idp.example.com.evil.test/keys",
            foreign("idp.example.com.evil.test"),
        ),
        ("https://evil.test?idp.example.com/", foreign("evil.test")),
        (
            "https://sub.idp.example.com/",
            foreign("sub.idp.example.com"),
        ),
        (
            "https://idp.example.com.:443/",
            foreign("idp.example.com.:443"),
        ),
        (
            "https://idp.example.com:8443/",
            foreign("idp.example.com:8443"),
        ),
        ("https://keys.example.com/", foreign("keys.example.com")),
        ("https://127.0.0.1:8080/", foreign("127.0.0.1:8080")),
        ("http://127.0.0.1/", foreign("127.0.0.1")),
        ("http://127.0.0.2:8080/", foreign("127.0.0.2:8080")),
        (
            "http://idp.example.com/keys",
            fault("is not an `https` URL"),
        ),
        (
            "http://127.0.0.1.evil.test:8080/",
            fault("is not an `https` URL"),
        ),
        ("file:///etc/passwd", fault("is not an `https` URL")),
        ("ftp://idp.example.com/", fault("is not an `https` URL")),
        ("//idp.example.com/keys", fault("is not an absolute URL")),
        ("/keys", fault("is not an absolute URL")),
        ("", fault("is not an absolute URL")),
        (
            "https://idp.example.com@evil.test/",
            fault("has a user name or password before its host"),
        ),
        (
            "https://u:p@idp.example.com/",
            fault("has a user name or password before its host"),
        ),
        ("https:///keys", fault("has no host")),
        ("https://:443/keys", fault("has no host")),
        ("https://[::1/keys", fault("has no host")),
        ("https://idp.example.com:/keys", fault("has a bad port")),
        ("https://idp.example.com:0/keys", fault("has a bad port")),
        ("https://idp.example.com:+443/keys", fault("has a bad port")),
        (
            "https://idp.example.com:65536/keys",
            fault("has a bad port"),
        ),
        ("https://idp.example.com:4a/keys", fault("has a bad port")),
        (
            "https://idp.example.com/a b",
            fault("has a character that cannot stand in it"),
        ),
        (
            "https://idp.example.com/a\r\nx: y",
            fault("has a character that cannot stand in it"),
        ),
        (
            "https://idp.example.com/#keys",
            fault("has a character that cannot stand in it"),
        ),
        (
            "https://evil.test\\@idp.example.com/",
            fault("has a character that cannot stand in it"),
        ),
        (
            "https://idp.example.com/é",
            fault("has a character that cannot stand in it"),
        ),
        (
            " https://idp.example.com/",
            fault("has a character that cannot stand in it"),
        ),
    ] {
        assert_eq!(with_uri(uri).unwrap_err().to_string(), message, "{uri}");
    }
    let long = std::format!("https://idp.example.com/{}", "a".repeat(2048));
    assert_eq!(
        with_uri(&long).unwrap_err().to_string(),
        fault("is longer than 2048 bytes")
    );
}

#[test]
fn a_document_that_is_wrong_in_any_member_is_refused() {
    for (document, message) in [
        (
            "",
            "the document is not valid JSON: the text ends too early at byte 0",
        ),
        (
            "<html>Sign in</html>",
            "the document is not valid JSON: a character that cannot stand here at byte 0",
        ),
        (
            r#"{"issuer": "https://idp.example.com/tenant", "jwks_u"#,
            "the document is not valid JSON: the text ends too early at byte 52",
        ),
        ("[]", "the document is an array, not an object"),
        ("null", "the document is null, not an object"),
        ("{}", "the document has no `issuer`"),
        (
            r#"{"issuer": null, "jwks_uri": "https://idp.example.com/"}"#,
            "`issuer` of the document is null, not a string",
        ),
        (
            r#"{"issuer": ["https://idp.example.com/tenant"]}"#,
            "`issuer` of the document is an array, not a string",
        ),
        (
            r#"{"issuer": "https://idp.example.com/tenant"}"#,
            "the document has no `jwks_uri`",
        ),
        (
            r#"{"issuer": "https://idp.example.com/tenant", "jwks_uri": 7}"#,
            "`jwks_uri` of the document is a number, not a string",
        ),
        (
            r#"{"issuer": "https://idp.example.com/tenant", "jwks_uri": {"a": 1}}"#,
            "`jwks_uri` of the document is an object, not a string",
        ),
        (
            r#"{"issuer": "https://idp.example.com/tenant", "issuer": "x"}"#,
            "the document is not valid JSON: a member that appears twice at byte 45",
        ),
        (
            r#"{"issuer": "https://idp.example.com/tenant/", "jwks_uri": "https://idp.example.com/"}"#,
            "the document is that of the issuer `https://idp.example.com/tenant/`",
        ),
        (
            r#"{"issuer": "https://IDP.example.com/tenant", "jwks_uri": "https://idp.example.com/"}"#,
            "the document is that of the issuer `https://IDP.example.com/tenant`",
        ),
        (
            r#"{"issuer": "a\nb", "jwks_uri": "https://idp.example.com/"}"#,
            "the document is that of the issuer `a\\nb`",
        ),
        (
            r#"{"issuer": "", "jwks_uri": "https://idp.example.com/"}"#,
            "the document is that of the issuer ``",
        ),
    ] {
        assert_eq!(
            read(document).unwrap_err().to_string(),
            message,
            "{document}"
        );
    }
    let large = json!({ "issuer": ISSUER, "jwks_uri": "https://idp.example.com/", "x": "a".repeat(MAX_METADATA_BYTES) });
    assert!(matches!(
        read(&large.to_string()),
        Err(MetadataError::TooLarge { .. })
    ));
    let long = json!({ "issuer": "x".repeat(100_000) }).to_string();
    assert!(read(&long).unwrap_err().to_string().len() < 200);
}
