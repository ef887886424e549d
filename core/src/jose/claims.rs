//! The claims of a token (RFC 7519 §4), with the registered ones checked for their type.
//!
//! A claim of the wrong type is never taken for an absent one: that is how expiry gets skipped. What
//! the claims mean is not decided here.

use core::fmt;

use super::TokenError;
use crate::claim_path::ClaimPath;
use crate::json::{self, Kind, Member, Value};

/// The claims of a token: a JSON object whose registered claims have the type that they must have.
#[derive(Debug, Clone, PartialEq)]
pub struct Claims<'p> {
    // INVARIANT: an object; `iss`, `sub` and `jti` are strings, `aud` a string or an array of strings.
    object: Value<'p>,
    places: Places,
    exp: Option<NumericDate>,
    nbf: Option<NumericDate>,
    iat: Option<NumericDate>,
}

/// Seconds since the epoch (RFC 7519 §2), fractions cut. Never negative; a number beyond `i64` is `i64::MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NumericDate(i64);

/// The registered claims that are a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StringClaim {
    /// `iss` (RFC 7519 §4.1.1).
    Iss,
    /// `sub` (RFC 7519 §4.1.2).
    Sub,
    /// `jti` (RFC 7519 §4.1.7).
    Jti,
}

/// The registered claims that are a point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeClaim {
    /// `exp` (RFC 7519 §4.1.4).
    Exp,
    /// `nbf` (RFC 7519 §4.1.5).
    Nbf,
    /// `iat` (RFC 7519 §4.1.6).
    Iat,
}

impl<'p> Claims<'p> {
    /// Reads the decoded payload of a token.
    ///
    /// # Errors
    /// [`TokenError::PayloadNotJson`], [`TokenError::PayloadNotObject`], and one for each registered claim
    /// of the wrong type.
    pub fn parse(payload: &'p [u8]) -> Result<Self, TokenError> {
        let object = json::parse(payload).map_err(TokenError::PayloadNotJson)?;
        let Some(members) = object.as_object() else {
            return Err(TokenError::PayloadNotObject {
                found: object.kind_name(),
            });
        };
        let places = Places::find(members);
        let value = |place| value_at(members, place);
        require_string(value(places.iss), StringClaim::Iss)?;
        require_string(value(places.sub), StringClaim::Sub)?;
        let iat = numeric_date(value(places.iat), TimeClaim::Iat)?;
        let nbf = numeric_date(value(places.nbf), TimeClaim::Nbf)?;
        let exp = numeric_date(value(places.exp), TimeClaim::Exp)?;
        require_string(value(places.jti), StringClaim::Jti)?;
        require_audience(value(places.aud))?;
        Ok(Self {
            object,
            places,
            exp,
            nbf,
            iat,
        })
    }

    /// Who issued the token.
    pub fn iss(&self) -> Option<&str> {
        self.at_place(self.places.iss)?.as_str()
    }

    /// Whom the token is about.
    pub fn sub(&self) -> Option<&str> {
        self.at_place(self.places.sub)?.as_str()
    }

    /// The name of the token.
    pub fn jti(&self) -> Option<&str> {
        self.at_place(self.places.jti)?.as_str()
    }

    /// Whom the token is for. None at all when `aud` is absent or an empty array.
    pub fn aud(&self) -> impl Iterator<Item = &str> {
        let aud = self.at_place(self.places.aud);
        let single = aud.and_then(Value::as_str);
        let several = aud.and_then(Value::as_array).unwrap_or_default();
        single
            .into_iter()
            .chain(several.iter().filter_map(Value::as_str))
    }

    fn at_place(&self, place: Option<usize>) -> Option<&Value<'p>> {
        value_at(self.object.as_object()?, place)
    }

    /// When the token stops being valid.
    pub fn exp(&self) -> Option<NumericDate> {
        self.exp
    }

    /// When the token starts being valid.
    pub fn nbf(&self) -> Option<NumericDate> {
        self.nbf
    }

    /// When the token was issued.
    pub fn iat(&self) -> Option<NumericDate> {
        self.iat
    }

    /// The claim of that name, whatever it is; `null` is a value too.
    pub fn value(&self, name: &str) -> Option<&Value<'p>> {
        self.object.member(name)
    }

    /// The claim at the end of a path into objects; `None` when there is none, or it is `null`.
    pub fn at(&self, path: &ClaimPath) -> Option<&Value<'p>> {
        path.names()
            .iter()
            .try_fold(&self.object, |object, name| object.member(name))
            .filter(|value| value.kind != Kind::Null)
    }

    /// All claims, as an object.
    pub fn json(&self) -> &Value<'p> {
        &self.object
    }
}

/// Where the registered claims stand among the members, as indices.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Places {
    iss: Option<usize>,
    sub: Option<usize>,
    aud: Option<usize>,
    exp: Option<usize>,
    nbf: Option<usize>,
    iat: Option<usize>,
    jti: Option<usize>,
}

impl Places {
    fn find(members: &[Member<'_>]) -> Self {
        let mut places = Self::default();
        for (index, member) in members.iter().enumerate() {
            let place = match &*member.name {
                "iss" => &mut places.iss,
                "sub" => &mut places.sub,
                "aud" => &mut places.aud,
                "exp" => &mut places.exp,
                "nbf" => &mut places.nbf,
                "iat" => &mut places.iat,
                "jti" => &mut places.jti,
                _ => continue,
            };
            *place = Some(index);
        }
        places
    }
}

fn value_at<'v, 'p>(members: &'v [Member<'p>], place: Option<usize>) -> Option<&'v Value<'p>> {
    members.get(place?).map(|member| &member.value)
}

impl NumericDate {
    /// Seconds since the epoch.
    pub const fn as_seconds(self) -> i64 {
        self.0
    }
}

impl fmt::Display for NumericDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StringClaim {
    /// The name of the claim.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Iss => "iss",
            Self::Sub => "sub",
            Self::Jti => "jti",
        }
    }
}

impl fmt::Display for StringClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl TimeClaim {
    /// The name of the claim.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exp => "exp",
            Self::Nbf => "nbf",
            Self::Iat => "iat",
        }
    }
}

impl fmt::Display for TimeClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn require_string(value: Option<&Value<'_>>, claim: StringClaim) -> Result<(), TokenError> {
    match value {
        Some(value) if value.as_str().is_none() => Err(TokenError::ClaimNotString {
            claim,
            found: value.kind_name(),
        }),
        _ => Ok(()),
    }
}

/// RFC 7519 §2: a JSON number, with or without a fraction.
fn numeric_date(
    value: Option<&Value<'_>>,
    claim: TimeClaim,
) -> Result<Option<NumericDate>, TokenError> {
    let Some(value) = value else {
        return Ok(None);
    };
    let number = value.as_number().ok_or(TokenError::TimeNotNumber {
        claim,
        found: value.kind_name(),
    })?;
    match number.floor() {
        seconds @ 0.. => Ok(Some(NumericDate(seconds))),
        _ => Err(TokenError::TimeNegative { claim }),
    }
}

/// RFC 7519 §4.1.3: one string, or an array of them.
fn require_audience(aud: Option<&Value<'_>>) -> Result<(), TokenError> {
    let stranger = match aud {
        None => None,
        Some(aud) => match &aud.kind {
            Kind::String(_) => None,
            Kind::Array(elements) => elements.iter().find(|element| element.as_str().is_none()),
            _ => Some(aud),
        },
    };
    match stranger {
        None => Ok(()),
        Some(value) => Err(TokenError::AudNotStrings {
            found: value.kind_name(),
        }),
    }
}
