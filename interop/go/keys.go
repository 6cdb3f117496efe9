package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/crypto"
)

const rsaBits = 2048

// newKey makes the identity. A seed is the private key itself: the ed25519 seed, or the scalar of
// the other two curves, so every implementation derives the same peer id from it.
func newKey(kind, seedHex string) (crypto.PrivKey, error) {
	seed, err := newSeed(seedHex)
	if err != nil {
		return nil, err
	}
	switch kind {
	case "ed25519":
		return crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(seed))
	case "secp256k1":
		return crypto.UnmarshalSecp256k1PrivateKey(seed)
	case "ecdsa":
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed)
		if err != nil {
			return nil, err
		}
		private, _, err := crypto.ECDSAKeyPairFromKey(key)
		return private, err
	case "rsa":
		if seedHex != "" {
			return nil, errors.New("an rsa key cannot be derived from --seed")
		}
		private, _, err := crypto.GenerateRSAKeyPair(rsaBits, rand.Reader)
		return private, err
	}
	return nil, fmt.Errorf("unknown --key %q", kind)
}

func newSeed(seedHex string) ([]byte, error) {
	seed := make([]byte, 32)
	if seedHex == "" {
		_, err := rand.Read(seed)
		return seed, err
	}
	if n, err := hex.Decode(seed, []byte(seedHex)); len(seedHex) != 64 || n != 32 || err != nil {
		return nil, errors.New("--seed must be 64 hexadecimal digits")
	}
	return seed, nil
}
