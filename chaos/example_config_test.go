package chaos_test

import (
	"encoding/json"
	"fmt"

	"github.com/holdfast-go/holdfast/chaos"
)

// How do I keep faults in a file?
func ExampleConfig() {
	var c chaos.Config
	err := json.Unmarshal([]byte(`{
		"name": "users", "seed": 1,
		"faults": [
			{"kind": "latency", "rate": 0.2, "delay": {"median": "50ms", "sigma": 0.8}},
			{"kind": "black_hole", "rate": 0.01, "schedule": {"from": "5m", "on": "10s", "off": "50s"}},
			{"kind": "status", "rate": 0.1, "status": 429, "retry_after": "*"}
		]
	}`), &c)
	fmt.Println(len(c.Faults), c.Faults[0].Delay.Median, err)

	err = json.Unmarshal([]byte(`{"faults": [{"kind": "latency", "rate": 0.2, "delay": {"median": 50}}]}`), &c)
	fmt.Println(err)

	c.Faults[1].Rate = 2
	_, err = chaos.New(c)
	fmt.Println(err)
	// Output:
	// 3 50ms <nil>
	// faults[0].delay.median: 50: want a duration such as "5s"
	// chaos.Config.Faults[1].Rate: 2: want above 0 and at most 1
}
