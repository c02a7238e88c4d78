# The wire: messages and payloads as msgpack, and authenticated links over nng.

add_library(assent_codec STATIC
    codec.c codec_fields.c codec_read.c codec_write.c work.c work_decode.c)
target_link_libraries(assent_codec PUBLIC assent_common PRIVATE PkgConfig::msgpack)

add_library(assent_link STATIC
    link.c link_frame.c link_peer.c link_receive.c link_secret.c link_socket.c link_tick.c)
target_link_libraries(assent_link PUBLIC assent_codec
                      PRIVATE nng::nng PkgConfig::libsodium Threads::Threads)
