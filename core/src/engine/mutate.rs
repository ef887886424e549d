//! Which headers the service sees.

use alloc::string::String;
use alloc::vec::Vec;

use super::claim_text;
use super::decision::Denial;
use crate::config::{ClaimFormat, ClaimHeader};
use crate::jose::Claims;

/// The headers that carry claims. A claim that is absent, `null` or an empty string gives none.
///
/// # Errors
/// Returns [`Denial::ClaimNotForwardable`] for a value that a header cannot carry as it is: it is never
/// cut or altered, since the service would take it for the identity of somebody else.
pub(super) fn claim_headers(
    claims: &Claims<'_>,
    wanted: &[ClaimHeader],
) -> Result<Vec<(String, String)>, Denial> {
    let mut headers = Vec::with_capacity(wanted.len());
    for ClaimHeader { claim, header } in wanted {
        let Some(value) = claims.value(claim) else {
            continue;
        };
        let text = claim_text::write(value, ClaimFormat::Text).map_err(|problem| {
            Denial::ClaimNotForwardable {
                claim: claim.clone(),
                problem,
            }
        })?;
        headers.extend(text.map(|text| (header.clone(), text)));
    }
    Ok(headers)
}
