//! OpenPGP signatures, behind the feature `openpgp`: what it takes to read them is more than all the rest of the
//! program. Without it, keys are refused with that reason.
//!
//! A certificate counts as it was given: it is pinned by the operator, so that no web of trust and no expiry is asked,
//! but one that says of itself that it was revoked does not count.

#[cfg(not(feature = "openpgp"))]
pub(super) use absent::OpenPgpKey;
#[cfg(feature = "openpgp")]
pub(super) use present::OpenPgpKey;

#[cfg(not(feature = "openpgp"))]
mod absent {
    use std::convert::Infallible;

    use super::super::signature::{Open, SignatureError, Verdict};

    /// There is none.
    #[derive(Clone)]
    pub(in crate::fetch) struct OpenPgpKey(Infallible);

    impl OpenPgpKey {
        pub(in crate::fetch) fn parse(_: &str) -> Result<Self, String> {
            Err("this program was built without OpenPGP".to_owned())
        }

        pub(in crate::fetch) fn fingerprint(&self) -> String {
            match self.0 {}
        }

        pub(in crate::fetch) fn judge(&self, _: &[u8], _: Open<'_>) -> Result<Verdict, SignatureError> {
            match self.0 {}
        }
    }
}

#[cfg(feature = "openpgp")]
mod present {
    use std::io::Cursor;

    use pgp::composed::{Deserializable, DetachedSignature, SignedPublicKey};
    use pgp::packet::Signature;
    use pgp::types::{KeyDetails, VerifyingKey};

    use super::super::signature::{Open, SignatureError, Verdict};

    /// A certificate.
    #[derive(Clone)]
    pub(in crate::fetch) struct OpenPgpKey(Box<SignedPublicKey>);

    impl OpenPgpKey {
        pub(in crate::fetch) fn parse(text: &str) -> Result<Self, String> {
            let (key, _) = SignedPublicKey::from_armor_single(text.as_bytes()).map_err(|error| error.to_string())?;
            key.verify_bindings().map_err(|error| error.to_string())?;
            if !key.details.revocation_signatures.is_empty() {
                return Err("it was revoked".to_owned());
            }
            Ok(Self(Box::new(key)))
        }

        pub(in crate::fetch) fn fingerprint(&self) -> String {
            format!("{:X}", self.0.primary_key.fingerprint())
        }

        pub(in crate::fetch) fn judge(&self, signature: &[u8], open: Open<'_>) -> Result<Verdict, SignatureError> {
            let Some(signature) = read(signature) else { return Ok(Verdict::Unreadable) };
            let primary = &self.0.primary_key;
            if is_by(&signature, primary) {
                return verify(&signature, primary, open);
            }
            // A subkey signs data only if its certificate says so.
            let signing = |signatures: &[Signature]| signatures.iter().any(|binding| binding.key_flags().sign());
            let subkeys = self.0.public_subkeys.iter().filter(|subkey| signing(&subkey.signatures));
            match subkeys.map(|subkey| &subkey.key).find(|key| is_by(&signature, key)) {
                Some(subkey) => verify(&signature, subkey, open),
                None => Ok(Verdict::Strange),
            }
        }
    }

    fn read(bytes: &[u8]) -> Option<Signature> {
        let armoured = DetachedSignature::from_armor_single(Cursor::new(bytes)).map(|(signature, _)| signature);
        let signature = armoured.or_else(|_| DetachedSignature::from_bytes(Cursor::new(bytes))).ok()?;
        Some(signature.signature)
    }

    fn is_by(signature: &Signature, key: &impl KeyDetails) -> bool {
        let (fingerprint, id) = (key.fingerprint(), key.legacy_key_id());
        signature.issuer_fingerprint().contains(&&fingerprint) || signature.issuer_key_id().contains(&&id)
    }

    fn verify(signature: &Signature, key: &impl VerifyingKey, open: Open<'_>) -> Result<Verdict, SignatureError> {
        Ok(if signature.verify(key, open()?).is_ok() { Verdict::Good } else { Verdict::Wrong })
    }
}
