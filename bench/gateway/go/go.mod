module cardwire/bench/gateway

go 1.21

require github.com/larksuite/oapi-sdk-go/v3 v3.11.0
