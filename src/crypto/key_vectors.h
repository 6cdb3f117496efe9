/*
 * One key of each type with its protobuf encodings, its peer id and a signature of the text
 * "Sterna hirundo", made by an independent program (pyca/cryptography and a few lines of Python).
 * For tests.
 */
#ifndef TERN_CRYPTO_KEY_VECTORS_H
#define TERN_CRYPTO_KEY_VECTORS_H

#include "crypto/key.h"

#define KEY_VECTOR_MESSAGE "Sterna hirundo"

struct key_vector {
    enum tern_key_type type;
    const char *public_key;
    const char *private_key;
    const char *signature;
    const char *peer_id;
};

static const struct key_vector key_vectors[] = {
    {
        .type = TERN_KEY_ED25519,
        .public_key = "080112200ba52458b705a5805914cf8a8276463d4df64e5b1d7fd1412528f27114f8d0ff",
        .private_key = "08011240ba1ef03c7ca251611df981157c4df0a58375073f624e48a93bcb3e00e78559490ba"
                       "52458b705a580"
                       "5914cf8a8276463d4df64e5b1d7fd1412528f27114f8d0ff",
        .signature = "bbf5b95ac8e82d5fd348758889d6d1c196e2ab04f7e6d6be04e61e872cb190850dec1c60355cd"
                     "1ea0d1a0473"
                     "4cec11a8fad4ca1d679b5eb8feb93337ad96a809",
        .peer_id = "12D3KooWAbphts3GedzJ3hwP8AEPhTmHZyur8UYE7wU9xRTRTDm8",
    },
    {
        .type = TERN_KEY_SECP256K1,
        .public_key = "08021221034f5378d1ab550524e57903707c41ecf1a1466aaa8d3f6b2b45f3cd08816c0657",
        .private_key = "08021220f064c3870b73216a6e3c63eea7a41da0f17dc09ef3b22bc52a943a80ad426764",
        .signature = "304502203cac928f728fd368e892eb8b6e82628c02838e4a6be333b0343c748b0095e28602210"
                     "087ce72be99"
                     "88ca0adbb23211ee82d5e9a3512f158600285c9a3e699aaf91ef1d",
        .peer_id = "16Uiu2HAmHzeP6WqtFQW9Rwo1hEEF4KZBxNtdvd82Bmhq98PZpBci",
    },
    {
        .type = TERN_KEY_ECDSA,
        .public_key = "0803125b3059301306072a8648ce3d020106082a8648ce3d030107034200043f1b445cd31f8f"
                      "42b3f629084f"
                      "ee89d380b75ea7e9e4eacd181785e1f0b04bd16cf6be3291e0cb7f2c3561685cd95051f33681"
                      "7ce39b48b4b7"
                      "12b8053126d506",
        .private_key = "08031279307702010104202610a461dac2f2ced855a29a88ce4c82de2783b554f199e93606f"
                       "35f1a1c3e09a0"
                       "0a06082a8648ce3d030107a144034200043f1b445cd31f8f42b3f629084fee89d380b75ea7e"
                       "9e4eacd181785"
                       "e1f0b04bd16cf6be3291e0cb7f2c3561685cd95051f336817ce39b48b4b712b8053126d506",
        .signature = "3046022100f05118482a2990dbe909f174ccccffe62e99414f6087e65ef5a4f1b8e425042e022"
                     "100ada5cf07"
                     "93731bd817b271354b20d5867caa9b6d472fdcadb204ab73f3d5d17c",
        .peer_id = "QmdYp7BRtNZhgpQjPvNgXD4MKVbtLMGMFgWYD4SPqQSuEK",
    },
    {
        .type = TERN_KEY_RSA,
        .public_key = "080012a60230820122300d06092a864886f70d01010105000382010f003082010a0282010100"
                      "a60641a04339"
                      "47436d25074f69efda5c4e10d88c5514a7c89d2c714968a45c838aebc87bf4807375a634200d"
                      "7ea34bb8c12b"
                      "806eb84190c28b4d3d7b0542658b0b0f4a7e9f2704ef282df632e789805f586e3b09246eec37"
                      "e29e51d79054"
                      "eb8cdbff10ed0a7ac0abca01901327325bafaeb32623089c43caff9adba126c154a20b6dfb83"
                      "2572feb97df6"
                      "41aa0a9f268a154dd045287dd6ad246e1f541a7239bbc88ea028dee9165c06846246450e56ca"
                      "ee08d5683274"
                      "1b2b1bdaa9fa455c8bc252684ee4d5ba9915d50ed71e24bd4c29a9d4d0c17b2190954aff4284"
                      "50d96385baa6"
                      "7ff0434954a764fd7cb81dcc0050821ce7b2047e2ef1fbac6389e1523bc10203010001",
        .private_key = "080012a609308204a20201000282010100a60641a0433947436d25074f69efda5c4e10d88c5"
                       "514a7c89d2c71"
                       "4968a45c838aebc87bf4807375a634200d7ea34bb8c12b806eb84190c28b4d3d7b0542658b0"
                       "b0f4a7e9f2704"
                       "ef282df632e789805f586e3b09246eec37e29e51d79054eb8cdbff10ed0a7ac0abca0190132"
                       "7325bafaeb326"
                       "23089c43caff9adba126c154a20b6dfb832572feb97df641aa0a9f268a154dd045287dd6ad2"
                       "46e1f541a7239"
                       "bbc88ea028dee9165c06846246450e56caee08d56832741b2b1bdaa9fa455c8bc252684ee4d"
                       "5ba9915d50ed7"
                       "1e24bd4c29a9d4d0c17b2190954aff428450d96385baa67ff0434954a764fd7cb81dcc00508"
                       "21ce7b2047e2e"
                       "f1fbac6389e1523bc102030100010282010040b8caa79bdd3df3429ebf494d9e93ed0cffd33"
                       "36dcd86151674"
                       "a75b3b406bd259fb4de648ac3496862ae6ddebe2e3d78bf295f853bb37a027a6fe53317b2f5"
                       "3b3858c006db1"
                       "cbe221b33d399dfa8401675b5d87545d2b9823af9d6f201482d92040408c6fdbe7b570a4085"
                       "2f722520cdc59"
                       "798209cec53ce3452ede9559a3d080be0905fa04377c2b277a656ff4dc8092c49cdf62b7936"
                       "03a3379a5fcf6"
                       "96772d596cdb4f120e3ea0c7f5a6fb84ea8c7fb1b175d6462bf4248e4a74c8c9704c0f42c1f"
                       "1070050cd0c03"
                       "a0cddad486fb5bf533d5fcd93c66a81eef4ab8dc710a13c8a9ff208afc00ba6c6f390fa9e79"
                       "c3236314e7ade"
                       "ab1999d82f3f1302911b02818100e044ea8f722a6c9719bace9ff8bd4d789878f9e50933e97"
                       "e2541c2f181db"
                       "66c84d64876f29459b3923525c3594f73dbb32ddea218a3bf228d32a2eab0e2c0f47bb24091"
                       "275aab6ed4a88"
                       "c99ee6c04c8fe78e11f7500475164643cc67a44fbfff4dc4620588148e4b14c0f64fe950839"
                       "fc8d748320c6b"
                       "de48f37c875b3c13db5b02818100bd83b36dbed5b46a1971ffa49e02d987a71313822b7942c"
                       "34116bfb86856"
                       "197af72c42458bebc8866eb71790e39848379808f9662c547eb2ba92fb724b3141c7e2c3f14"
                       "b3be40ea77d03"
                       "c4771d4c77164e178d69da51a5463fc2962a383df7b0710de319c6886712601b525f569b3a6"
                       "a7e85172dcd4d"
                       "d48201079a6ad5811c130281805f8239fa58fe643c7d42a7184d9020dc08e30c5953effdb23"
                       "11fae6bb787be"
                       "5ff345aabfd66dc44b3315b21b47937b80ab8b0258c24c01370da6db3511d605b3e0a8da0c3"
                       "87c396718e4e4"
                       "287dd0cb4a45aca54e138fb265880afb93efcfdece554a1b0c8c05650be88cbcd90f5db0906"
                       "db1f1170f5f28"
                       "cd1c949df866bf761d0281804c63f70288c6f9b73ed47dd8ac3cb7d47f5b2824f34328cf2dc"
                       "06ebd75892732"
                       "32c9eb58bf42e68c91ba49cc848150b2e01cd5f3027178b4b09228baf466417ec2007b95f8e"
                       "93fa2f1b8800c"
                       "078a58026cadffb9a85ffabfeb59935027658b1edb235ee477eb69a8b586add8723f95f7715"
                       "2527a8ae41181"
                       "e9ca57cb328e9d73028180549a817c6bd8c442428440e857ab06735217bd1d296c86b946573"
                       "91ecf8914f3f8"
                       "a1edfb40e31e9fd8a28b33423c1fb871f1f5b8bbcfb6dc7122ff13e0cd183104bb1ec735eb5"
                       "a2391ba1af7d7"
                       "8f98c3bc22353fd52338e8cd8109e0565513e1de9d0c424d26d0c48f9e3d8f273ac2ceb31c0"
                       "939a861fb4324"
                       "f78aecbc910c51",
        .signature = "81288d4fd41e661b6513c48731377e7602ce4fba6cacb8aaefbc690c807786bd79f5c8197b4ed"
                     "4bbc5747678"
                     "e967fc329c70074ec887fe67e64c7814c4e13bedc5b2ac08bc95c11217dd2a78cd70cac2707d0"
                     "6218c063e08"
                     "41b7aa926c3305d4432b5222c3c64445c1c0da596cc33045b159b3295b17cf96b9a39d8fb2c81"
                     "c0c7e851251"
                     "18184adc980f0955184c82a82c335cb5143c74b6cdc139751f6ee6460fc1e467e78adb5d5eb8b"
                     "76b712b5129"
                     "897595910e25c0500cb12336f9defbe8807f00bedeb731f4fe8dfb8b35b9ec4e5fa3675c8c481"
                     "3a39ad80aeb"
                     "fd810252b1306f5335c0225f1ccd1a14f14bb5eee87081321759c0341e0c3cacafe286f1",
        .peer_id = "QmcGiUZyeh6tMhFxnZXveGdbwFQ3vbNP44X12MF8W1WHF8",
    },
};

#endif
