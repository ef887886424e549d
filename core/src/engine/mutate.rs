//! Which headers the service sees.

use alloc::string::String;
use alloc::vec::Vec;

use super::claim_text;
use super::decision::Denial;
use crate::config::{ClaimFormat, ClaimHeader};
use crate::jose::Claims;

/// What a token says about who sent the request, for the service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Identity {
    /// Every header that the rule wants, lower case; `None` where the token has nothing for it.
    headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Identity {
    /// Takes in what another token says.
    ///
    /// # Errors
    /// [`Denial::TokensDisagree`] when the two do not say the same about a header that both are asked for.
    pub(super) fn unite(&mut self, other: &Self) -> Result<(), Denial> {
        for (name, value) in &other.headers {
            match self.headers.iter().find(|(known, _)| known == name) {
                None => self.headers.push((name.clone(), value.clone())),
                Some((_, known)) if known == value => {}
                Some(_) => {
                    return Err(Denial::TokensDisagree {
                        header: name.clone(),
                    });
                }
            }
        }
        Ok(())
    }

    /// The headers that the service gets.
    pub(super) fn into_headers(self) -> Vec<(String, Vec<u8>)> {
        self.headers
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }
}

/// What a genuine token says about who sent the request. A claim that is absent, `null` or an empty string
/// says nothing.
///
/// # Errors
/// Returns [`Denial::ClaimNotForwardable`] for a value that a header cannot carry as it is: it is never
/// cut or altered, since the service would take it for the identity of somebody else.
pub(super) fn identity(claims: &Claims<'_>, wanted: &[ClaimHeader]) -> Result<Identity, Denial> {
    let mut identity = Identity::default();
    for ClaimHeader { claim, header } in wanted {
        let text = match claims.value(claim) {
            None => None,
            Some(value) => claim_text::write(value, ClaimFormat::Text).map_err(|problem| {
                Denial::ClaimNotForwardable {
                    claim: claim.clone(),
                    problem,
                }
            })?,
        };
        identity
            .headers
            .push((header.clone(), text.map(String::into_bytes)));
    }
    Ok(identity)
}
