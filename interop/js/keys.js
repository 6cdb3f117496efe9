// The identity. A seed is the private key itself: the ed25519 seed, or the scalar of the other two
// curves, so every implementation derives the same peer id from it.

import { createECDH, randomBytes, webcrypto } from 'node:crypto'
import {
  generateKeyPair, generateKeyPairFromSeed, privateKeyFromCryptoKeyPair, privateKeyFromRaw
} from '@libp2p/crypto/keys'

const RSA_BITS = 2048

export async function newKey (kind, seedHex) {
  if (seedHex != null && !/^[0-9a-fA-F]{64}$/.test(seedHex)) {
    throw new Error('--seed must be 64 hexadecimal digits')
  }
  const seed = seedHex == null ? randomBytes(32) : Buffer.from(seedHex, 'hex')
  switch (kind) {
    case 'ed25519':
      return generateKeyPairFromSeed('Ed25519', seed)
    case 'secp256k1':
      return privateKeyFromRaw(seed)
    case 'ecdsa':
      return ecdsaFromScalar(seed)
    case 'rsa':
      if (seedHex != null) throw new Error('an rsa key cannot be derived from --seed')
      return generateKeyPair('RSA', RSA_BITS)
    default:
      throw new Error(`unknown --key ${kind}`)
  }
}

async function ecdsaFromScalar (scalar) {
  const curve = createECDH('prime256v1')
  curve.setPrivateKey(scalar)
  const point = curve.getPublicKey() // 4, x, y
  const jwk = {
    kty: 'EC',
    crv: 'P-256',
    d: scalar.toString('base64url'),
    x: point.toString('base64url', 1, 33),
    y: point.toString('base64url', 33, 65)
  }
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' }
  const privateKey = await webcrypto.subtle.importKey('jwk', jwk, algorithm, true, ['sign'])
  return privateKeyFromCryptoKeyPair({ privateKey })
}
