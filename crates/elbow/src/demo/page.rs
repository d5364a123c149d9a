//! The pages of the demo's login.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;

use super::provider::{PASSWORD, USER};

/// The form of the provider for a request with this query.
pub(super) fn form(query: &str, is_wrong: bool) -> String {
    let query = escaped(query);
    let wrong = if is_wrong {
        "<p><strong>Wrong user or password.</strong></p>"
    } else {
        ""
    };
    document(
        "Log in",
        &format!(
            "<p>This is the toy identity provider of <code>elbow demo --login</code>. It knows one user, <code>{USER}</code> with the \
             password <code>{PASSWORD}</code>, and ends with the demo.</p>{wrong}\
             <form method=\"post\" action=\"/provider/authorize?{query}\">\
             <p><label>User <input name=\"login\" autofocus></label></p>\
             <p><label>Password <input name=\"password\" type=\"password\"></label></p>\
             <p><button type=\"submit\">Log in</button></p></form>"
        ),
    )
}

/// What the target behind the login shows: the user that the load balancer tells it, in `x-amzn-oidc-data`.
pub(super) fn welcome(path: &str, data: Option<&str>) -> String {
    let part = |at| {
        let part = data?.split('.').nth(at)?;
        String::from_utf8(URL_SAFE.decode(part).ok()?).ok()
    };
    let (Some(header), Some(claims)) = (part(0), part(1)) else {
        return document("Nobody", "<p>The load balancer told no user.</p>");
    };
    let (path, header, claims) = (escaped(path), escaped(&header), escaped(&claims));
    document(
        &format!("Hello {USER}"),
        &format!(
            "<p>elbow authenticated you with <code>authenticate-oidc</code> before it forwarded <code>{path}</code> to this page. Its \
             cookies keep you logged in.</p><p>The target got <code>x-amzn-oidc-data</code>, signed by elbow:</p>\
             <pre>{header}\n{claims}</pre>"
        ),
    )
}

fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title></head>\n\
         <body><h1>{title}</h1>\n{body}\n</body></html>\n"
    )
}

/// `text` as it can stand in a page and in an attribute.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_client_ends_its_text() {
        let form = form("state=\"><script>", false);
        assert!(form.contains("?state=&quot;&gt;&lt;script&gt;\""), "{form}");
        let page = welcome("/<b>", Some("e30=.eyJhIjoiPGI-In0=.x"));
        assert!(page.contains("<code>/&lt;b&gt;</code>"), "{page}");
        assert!(
            page.contains("{&quot;a&quot;:&quot;&lt;b&gt;&quot;}"),
            "{page}"
        );
    }
}
