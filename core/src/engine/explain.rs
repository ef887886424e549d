//! A decision in words: for the log, for the response-code details, and for `nexusctl test-token`.

use alloc::string::{String, ToString};
use core::fmt::Write;

use super::{Decision, Engine, Outcome};
use crate::json;

impl Engine {
    /// The decision as one JSON object on one line, without anything secret.
    ///
    /// Members: `decision` (`allow` or `deny`), and where they are known `reason` (a code of
    /// [`crate::reason`]), `status`, `would_deny` (the code of what a rule that only reports would have done), `app`, `route`, `provider`, `kid`, `evidence`.
    pub fn explain(&self, decision: &Decision) -> String {
        let mut object = Object(String::new());
        match &decision.outcome {
            Outcome::Allow(_) => object.string("decision", "allow"),
            Outcome::Deny(denial) => {
                let row = denial.reason().row();
                object.string("decision", "deny");
                object.string("reason", row.code);
                object.raw("status", &row.status.to_string());
            }
        }
        if let Some(denial) = &decision.would_deny {
            object.string("would_deny", denial.reason().code());
        }
        let app = decision.rule.and_then(|rule| self.apps.get(rule.app.0));
        if let Some(app) = app {
            object.string("app", &app.slug);
            let route = decision.rule.and_then(|rule| rule.route);
            if let Some(route) = route.and_then(|route| app.routes.get(route.0)) {
                object.string("route", &route.label);
            }
        }
        if let Some(provider) = decision
            .provider
            .and_then(|index| self.providers.get(index.0))
        {
            object.string("provider", &provider.name);
        }
        if let Some(kid) = &decision.kid {
            object.string("kid", kid);
        }
        let denial = match &decision.outcome {
            Outcome::Deny(denial) => Some(denial),
            Outcome::Allow(_) => decision.would_deny.as_ref(),
        };
        if let Some(denial) = denial {
            object.string("evidence", &denial.to_string());
        }
        object.finish()
    }
}

/// A JSON object being written. Writing to a `String` does not fail.
struct Object(String);

impl Object {
    fn raw(&mut self, name: &str, value: &str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        let _ = json::write_string(&mut self.0, name);
        let _ = write!(self.0, ":{value}");
    }

    fn string(&mut self, name: &str, value: &str) {
        self.raw(name, "");
        let _ = json::write_string(&mut self.0, value);
    }

    fn finish(mut self) -> String {
        if self.0.is_empty() {
            self.0.push('{');
        }
        self.0.push('}');
        self.0
    }
}
