"""umqtt.simple: two clients of one broker; what one publishes the other hears.

    with_umqtt.py HOST PORT
"""

import json
import sys
import time

from umqtt.simple import MQTTClient

MESSAGES = 50

host, port = sys.argv[1], int(sys.argv[2])
heard = []

listener = MQTTClient("listener", host, port, keepalive=30)
listener.set_callback(lambda topic, message: heard.append((topic, message)))
assert listener.connect() == 0
listener.subscribe(b"home/#", qos=1)

speaker = MQTTClient("speaker", host, port)
speaker.set_last_will(b"home/last", b"gone")
speaker.connect()
speaker.publish(b"home/first", b"light", qos=1)
listener.wait_msg()
assert heard.pop() == (b"home/first", b"light")
listener.check_msg()
assert not heard

began = time.ticks_us()
for number in range(MESSAGES):
    speaker.publish(b"home/bulb", b"%d" % number)
    listener.wait_msg()
message_ms = time.ticks_diff(time.ticks_us(), began) / 1000 / MESSAGES
assert heard == [(b"home/bulb", b"%d" % number) for number in range(MESSAGES)], heard
heard.clear()

speaker.publish(b"home/large", b"x" * 20000, qos=1)
listener.wait_msg()
assert heard.pop() == (b"home/large", b"x" * 20000)
speaker.publish(b"home/kept", b"state", retain=True)
listener.wait_msg()
listener.ping()
listener.wait_msg()
speaker.disconnect()
listener.disconnect()

late = MQTTClient("late", host, port)
late.set_callback(lambda topic, message: heard.append((topic, message)))
late.connect()
heard.clear()
late.subscribe(b"home/kept")
if not heard:
    late.wait_msg()
assert heard == [(b"home/kept", b"state")], heard
late.disconnect()

print(json.dumps({"works": True, "publish_to_callback_ms": message_ms}))
