//! The identity. A seed is the private key itself: the ed25519 seed, or the scalar of the other
//! two curves, so every implementation derives the same peer id from it.

use crate::{Options, Result};
use libp2p::identity::{ecdsa, secp256k1, Keypair};
use rsa::pkcs8::EncodePrivateKey;
use rsa::rand_core::{OsRng, RngCore};

const RSA_BITS: usize = 2048;

pub fn new_key(options: &Options) -> Result<Keypair> {
    new_key_from(&options.key, options.seed.as_deref())
}

pub fn new_key_from(kind: &str, seed_hex: Option<&str>) -> Result<Keypair> {
    let mut seed = [0u8; 32];
    match seed_hex {
        Some(text) => hex::decode_to_slice(text, &mut seed)
            .map_err(|_| "--seed must be 64 hexadecimal digits")?,
        None => OsRng.fill_bytes(&mut seed),
    }
    match kind {
        "ed25519" => Ok(Keypair::ed25519_from_bytes(seed)?),
        "secp256k1" => {
            let secret = secp256k1::SecretKey::try_from_bytes(seed)?;
            Ok(secp256k1::Keypair::from(secret).into())
        }
        "ecdsa" => {
            let secret = ecdsa::SecretKey::try_from_bytes(seed)?;
            Ok(ecdsa::Keypair::from(secret).into())
        }
        "rsa" if seed_hex.is_some() => Err("an rsa key cannot be derived from --seed".into()),
        "rsa" => {
            // libp2p-identity reads RSA keys but does not make them.
            let key = rsa::RsaPrivateKey::new(&mut OsRng, RSA_BITS)?;
            let mut der = key.to_pkcs8_der()?.as_bytes().to_vec();
            Ok(Keypair::rsa_from_pkcs8(&mut der)?)
        }
        other => Err(format!("unknown --key {other:?}").into()),
    }
}
