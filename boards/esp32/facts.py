"""ESP32 without PSRAM (WROOM-32 and the like), stock firmware. Fields: host_tools/boards/facts.py.

The heap was measured with firmware 1.27 in an emulator: it is in two pieces, the larger 94,208
bytes. The generic board has no LED of its own; most development boards have one at this pin.
"""

CHIP = "ESP32"
ESPTOOL_CHIP = "esp32"
FIRMWARE = "ESP32_GENERIC"
PLATFORM = "esp32"
MPY_ARCH = "xtensawin"
USB_IDS = ()
FLASH_SIZE = 0x400000
FLASH_FREE = None
FLASH_OFFSET = 0x1000
UF2_FAMILY = None
UF2_BOARD = None
LED_PIN = 2
LED_LIT = 1
HEAP_CONNECTED = 147984
WIFI_POWER_SAVE = "PM_NONE"
TICK_MS = 10
TICK_REMEDY = "busy turns"
