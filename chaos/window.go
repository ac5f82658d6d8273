package chaos

import (
	"time"

	"github.com/holdfast-go/holdfast/internal/conf"
)

// Window is when a [Monkey] may act: while people are there who can mend what it finds. The zero Window is always.
type Window struct {
	From, Until time.Duration  // of the day, by the clock on the wall: 9h and 15h, say. Default: the whole day
	Weekdays    bool           // from Monday to Friday only
	Location    *time.Location // nil: UTC
}

const day = 24 * time.Hour

func (w *Window) check(f *conf.Faults) {
	f.Want(w.From >= 0 && w.From < day, "Window.From", w.From, "at least 0 and less than 24h")
	f.Want(w.Until == 0 || w.Until <= day && w.Until >= w.From+time.Minute, "Window.Until", w.Until,
		"at least a minute after From and at most 24h (default 24h)")
}

// open is the time of the window that t is in, or of the first that comes.
func (w *Window) open(t time.Time) (from, until time.Time) {
	t = t.In(conf.Or(w.Location, time.UTC))
	for i := 0; ; i++ {
		from, until = w.on(t, i, w.From), w.on(t, i, conf.Or(w.Until, day))
		if t.Before(until) && from.Before(until) && !(w.Weekdays && weekend(from)) {
			if from.Before(t) {
				from = t
			}
			return from, until
		}
	}
}

// has reports whether t is in a window.
func (w *Window) has(t time.Time) bool {
	from, _ := w.open(t)
	return !from.After(t)
}

// on is a time of the day that comes in so many days. On a day on which the clock is changed it is what the clock says.
func (w *Window) on(t time.Time, days int, at time.Duration) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day()+days, int(at/time.Hour), int(at%time.Hour/time.Minute),
		int(at%time.Minute/time.Second), int(at%time.Second), t.Location())
}

func weekend(t time.Time) bool { return t.Weekday() == time.Saturday || t.Weekday() == time.Sunday }

// after is when so much time has passed in windows.
func (w *Window) after(t time.Time, d time.Duration) time.Time {
	for {
		from, until := w.open(t)
		if *w == (Window{Location: w.Location}) {
			return from.Add(d)
		}
		if left := until.Sub(from); d >= left {
			t, d = until, d-left
			continue
		}
		return from.Add(d)
	}
}

// UnmarshalJSON reads {"from": "9h", "until": "15h", "weekdays": true, "location": "Europe/Berlin"}.
func (w *Window) UnmarshalJSON(data []byte) error {
	read, name := *w, ""
	if err := read.fields(&name).Unmarshal(data); err != nil {
		return err
	}
	if name != "" {
		var err error
		if read.Location, err = time.LoadLocation(name); err != nil {
			return errLocation(name)
		}
	}
	*w = read
	return nil
}

// MarshalJSON writes the fields that are not zero.
func (w Window) MarshalJSON() ([]byte, error) {
	name := ""
	if w.Location != nil {
		name = w.Location.String()
	}
	return w.fields(&name).Marshal()
}

func (w *Window) fields(location *string) conf.Fields {
	return conf.Fields{
		{Key: "from", To: &w.From},
		{Key: "until", To: &w.Until},
		{Key: "weekdays", To: &w.Weekdays},
		{Key: "location", To: location},
	}
}
