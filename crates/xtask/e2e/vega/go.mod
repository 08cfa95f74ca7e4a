module omnivisor.test/vega

go 1.21

require (
	github.com/gorilla/mux v1.8.0
	github.com/gorilla/rpc v1.2.0
)
